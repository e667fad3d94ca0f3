//! The events of a text: libyaml's parser (`unsafe-libyaml`, its translation to Rust) behind a safe face.
//!
//! ```text
//! Parser::new(text) ─ next() ─► Event { what, at } … StreamEnd │ Failure { problem, at, context }
//! ```
//!
//! With `emitter.rs` this is all of the crate's `unsafe`. Strings are copied out of each event before it is deleted, and libyaml's
//! parser lives in a box of its own, for it points into itself.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use unsafe_libyaml as unsafe_sys;

use crate::Span;

/// What the parser met.
#[derive(Debug)]
pub(crate) enum What {
    StreamStart,
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias(String),
    Scalar { anchor: Option<String>, tag: Option<String>, text: String, plain: bool },
    Sequence { anchor: Option<String>, tag: Option<String> },
    SequenceEnd,
    Mapping { anchor: Option<String>, tag: Option<String> },
    MappingEnd,
}

/// Why the parser stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    pub problem: String,
    pub at: Option<Span>,
    pub context: Option<(String, Span)>,
}

/// A parser over a text.
pub(crate) struct Parser<'a> {
    raw: Box<MaybeUninit<unsafe_sys::yaml_parser_t>>,
    text: PhantomData<&'a str>,
}

impl<'a> Parser<'a> {
    /// A parser over `text`; `None` where memory is short.
    pub(crate) fn new(text: &'a str) -> Option<Self> {
        let mut raw = Box::new(MaybeUninit::uninit());
        // SAFETY: the box gives memory for a parser, which the call initializes; where it fails, nothing is kept.
        if unsafe { unsafe_sys::yaml_parser_initialize(raw.as_mut_ptr()) }.fail {
            return None;
        }
        // SAFETY: the parser is initialized; `text` outlives it by `'a`, and has `len` bytes.
        unsafe {
            unsafe_sys::yaml_parser_set_encoding(raw.as_mut_ptr(), unsafe_sys::YAML_UTF8_ENCODING);
            unsafe_sys::yaml_parser_set_input_string(raw.as_mut_ptr(), text.as_ptr(), text.len() as u64);
        }
        Some(Self { raw, text: PhantomData })
    }

    /// The next event and where it begins.
    ///
    /// # Errors
    /// Where the text is no YAML. The parser is not to be asked again.
    pub(crate) fn next(&mut self) -> Result<(What, Span), Failure> {
        let mut event = MaybeUninit::<unsafe_sys::yaml_event_t>::uninit();
        // SAFETY: the parser is initialized and did not move; the event is memory for one, which the call fills.
        if unsafe { unsafe_sys::yaml_parser_parse(self.raw.as_mut_ptr(), event.as_mut_ptr()) }.fail {
            return Err(self.failure());
        }
        // SAFETY: the call succeeded, so the event is initialized; it is read, then deleted once.
        unsafe {
            let out = (read(event.assume_init_ref()), span(&event.assume_init_ref().start_mark));
            unsafe_sys::yaml_event_delete(event.as_mut_ptr());
            Ok(out)
        }
    }

    fn failure(&self) -> Failure {
        // SAFETY: the parser is initialized; its messages are null or static C strings.
        unsafe {
            let p = self.raw.assume_init_ref();
            let problem = text(p.problem.cast()).unwrap_or_else(|| "memory is short".to_owned());
            let reader = p.error == unsafe_sys::YAML_READER_ERROR || p.error == unsafe_sys::YAML_MEMORY_ERROR;
            Failure {
                problem,
                at: (!reader).then(|| span(&p.problem_mark)),
                context: text(p.context.cast()).map(|c| (c, span(&p.context_mark))),
            }
        }
    }
}

impl Drop for Parser<'_> {
    fn drop(&mut self) {
        // SAFETY: the parser is initialized, and deleted once.
        unsafe { unsafe_sys::yaml_parser_delete(self.raw.as_mut_ptr()) }
    }
}

fn span(mark: &unsafe_sys::yaml_mark_t) -> Span {
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_add(1);
    Span { line: count(mark.line), column: count(mark.column) }
}

/// A copy of the C string at `p`; `None` where it is null.
///
/// # Safety
/// `p` is null or points to a C string.
unsafe fn text(p: *const c_char) -> Option<String> {
    // SAFETY: as the caller promises.
    (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned())
}

/// What `event` tells.
///
/// # Safety
/// `event` is an initialized event of libyaml.
unsafe fn read(event: &unsafe_sys::yaml_event_t) -> What {
    // SAFETY: the type tells which field of the union is filled; its strings end in 0, and a scalar's text has
    // `length` bytes.
    unsafe {
        match event.type_ {
            unsafe_sys::YAML_STREAM_END_EVENT => What::StreamEnd,
            unsafe_sys::YAML_DOCUMENT_START_EVENT => What::DocumentStart,
            unsafe_sys::YAML_DOCUMENT_END_EVENT => What::DocumentEnd,
            unsafe_sys::YAML_ALIAS_EVENT => {
                What::Alias(text(event.data.alias.anchor.cast()).unwrap_or_default())
            }
            unsafe_sys::YAML_SCALAR_EVENT => {
                let s = &event.data.scalar;
                let length = usize::try_from(s.length).unwrap_or(0);
                let bytes = std::slice::from_raw_parts(s.value.cast_const(), length);
                What::Scalar {
                    anchor: text(s.anchor.cast()),
                    tag: text(s.tag.cast()),
                    text: String::from_utf8_lossy(bytes).into_owned(),
                    plain: s.style == unsafe_sys::YAML_PLAIN_SCALAR_STYLE,
                }
            }
            unsafe_sys::YAML_SEQUENCE_START_EVENT => {
                let s = &event.data.sequence_start;
                What::Sequence { anchor: text(s.anchor.cast()), tag: text(s.tag.cast()) }
            }
            unsafe_sys::YAML_SEQUENCE_END_EVENT => What::SequenceEnd,
            unsafe_sys::YAML_MAPPING_START_EVENT => {
                let s = &event.data.mapping_start;
                What::Mapping { anchor: text(s.anchor.cast()), tag: text(s.tag.cast()) }
            }
            unsafe_sys::YAML_MAPPING_END_EVENT => What::MappingEnd,
            _ => What::StreamStart,
        }
    }
}
