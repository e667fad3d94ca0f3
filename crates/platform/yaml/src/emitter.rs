//! Text from events: libyaml's emitter (`unsafe-libyaml`) behind a safe face, so that what is written looks as
//! PyYAML's C dumper writes it: where lines fold, which quotes are chosen, how far lists are indented.
//!
//! ```text
//! Emitter::new(style) ─ begin() ─ put(Event)… ─ end() ─► text
//! ```

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use unsafe_libyaml as unsafe_sys;

use crate::Error;

/// How a scalar is to be written, where its text allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// Whatever suits.
    Any,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// How to write.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Columns of a level: 2 to 9, else 2.
    pub indent: usize,
    /// Where long text is folded; `None` is nowhere.
    pub width: Option<usize>,
    /// Everything with its tag, in flow style.
    pub canonical: bool,
    /// `---` first.
    pub start: bool,
    /// `...` last.
    pub end: bool,
}

/// A part of a document.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A scalar; its tag is left out where `plain` (and no quotes are used) or `quoted` (and some are) imply it.
    Scalar {
        /// The whole tag.
        tag: &'a str,
        /// The text.
        text: &'a str,
        /// Without quotes the text reads as the tag's type.
        plain: bool,
        /// In quotes it does.
        quoted: bool,
        /// The style.
        quote: Quote,
    },
    /// A list begins: in brackets or not.
    List(bool),
    /// A list ends.
    ListEnd,
    /// A mapping begins: in braces or not.
    Map(bool),
    /// A mapping ends.
    MapEnd,
}

/// An emitter of one document.
pub struct Emitter {
    raw: Box<MaybeUninit<unsafe_sys::yaml_emitter_t>>,
    /// What was written; the emitter holds its address.
    #[expect(clippy::box_collection, reason = "the emitter holds the address of the `Vec` itself")]
    out: Box<Vec<u8>>,
    layout: Layout,
}

/// Appends what libyaml hands over.
unsafe fn write(data: *mut c_void, buffer: *mut u8, size: u64) -> i32 {
    let Ok(size) = usize::try_from(size) else { return 0 };
    // SAFETY: `data` is the `Vec` that the emitter was given, which lives as long as it; the buffer has `size` bytes.
    unsafe { (*data.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(buffer, size)) };
    1
}

impl Emitter {
    /// An emitter.
    ///
    /// # Errors
    /// Where memory is short.
    pub fn new(layout: Layout) -> Result<Self, Error> {
        let mut raw = Box::new(MaybeUninit::uninit());
        let mut out = Box::new(Vec::new());
        // SAFETY: the box gives memory for an emitter, which the first call initializes; `out` lives as long as it.
        unsafe {
            if unsafe_sys::yaml_emitter_initialize(raw.as_mut_ptr()).fail {
                return Err(Error::new("memory is short"));
            }
            let data: *mut Vec<u8> = &mut *out;
            unsafe_sys::yaml_emitter_set_output(raw.as_mut_ptr(), write, data.cast());
            unsafe_sys::yaml_emitter_set_unicode(raw.as_mut_ptr(), true);
            unsafe_sys::yaml_emitter_set_canonical(raw.as_mut_ptr(), layout.canonical);
            unsafe_sys::yaml_emitter_set_indent(raw.as_mut_ptr(), i32::try_from(layout.indent).unwrap_or(0));
            let width = layout.width.and_then(|w| i32::try_from(w).ok()).unwrap_or(-1);
            unsafe_sys::yaml_emitter_set_width(raw.as_mut_ptr(), width);
        }
        Ok(Self { raw, out, layout })
    }

    /// Makes an event with `make` and hands it to the emitter.
    fn emit(&mut self, make: impl FnOnce(*mut unsafe_sys::yaml_event_t) -> bool) -> Result<(), Error> {
        let mut event = MaybeUninit::<unsafe_sys::yaml_event_t>::uninit();
        if !make(event.as_mut_ptr()) {
            return Err(Error::new("the text is no UTF-8, or memory is short"));
        }
        // SAFETY: `make` succeeded, so the event is initialized; the emitter takes it over, whatever comes of it.
        unsafe {
            if unsafe_sys::yaml_emitter_emit(self.raw.as_mut_ptr(), event.as_mut_ptr()).fail {
                let problem = self.raw.assume_init_ref().problem;
                let text = if problem.is_null() {
                    "memory is short".to_owned()
                } else {
                    CStr::from_ptr(problem).to_string_lossy().into_owned()
                };
                return Err(Error::new(text));
            }
        }
        Ok(())
    }

    /// Begins the document.
    ///
    /// # Errors
    /// Where the emitter fails.
    pub fn begin(&mut self) -> Result<(), Error> {
        let implicit = !self.layout.start;
        // SAFETY: the call initializes the event.
        self.emit(|e| unsafe {
            unsafe_sys::yaml_stream_start_event_initialize(e, unsafe_sys::YAML_UTF8_ENCODING).ok
        })?;
        // SAFETY: the call initializes the event; null pointers stand for no directives.
        self.emit(|e| unsafe {
            unsafe_sys::yaml_document_start_event_initialize(
                e,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                implicit,
            )
            .ok
        })
    }

    /// Writes a part.
    ///
    /// # Errors
    /// Where the emitter fails: the parts do not fit together, or a text is too long.
    pub fn put(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Scalar { tag, text, plain, quoted, quote } => {
                let tag = CString::new(tag).map_err(|_| Error::new("a tag holds a zero byte"))?;
                let length = i32::try_from(text.len()).map_err(|_| Error::new("the text is too long"))?;
                let style = match quote {
                    Quote::Any => unsafe_sys::YAML_ANY_SCALAR_STYLE,
                    Quote::Single => unsafe_sys::YAML_SINGLE_QUOTED_SCALAR_STYLE,
                    Quote::Double => unsafe_sys::YAML_DOUBLE_QUOTED_SCALAR_STYLE,
                    Quote::Literal => unsafe_sys::YAML_LITERAL_SCALAR_STYLE,
                    Quote::Folded => unsafe_sys::YAML_FOLDED_SCALAR_STYLE,
                };
                // SAFETY: the tag ends in 0 and the text has `length` bytes; libyaml copies both.
                self.emit(|e| unsafe {
                    unsafe_sys::yaml_scalar_event_initialize(
                        e,
                        ptr::null(),
                        tag.as_ptr().cast(),
                        text.as_ptr(),
                        length,
                        plain,
                        quoted,
                        style,
                    )
                    .ok
                })
            }
            Event::List(flow) => {
                let style = if flow {
                    unsafe_sys::YAML_FLOW_SEQUENCE_STYLE
                } else {
                    unsafe_sys::YAML_BLOCK_SEQUENCE_STYLE
                };
                let tag = c"tag:yaml.org,2002:seq";
                // SAFETY: the tag ends in 0; libyaml copies it.
                self.emit(|e| unsafe {
                    unsafe_sys::yaml_sequence_start_event_initialize(
                        e,
                        ptr::null(),
                        tag.as_ptr().cast(),
                        true,
                        style,
                    )
                    .ok
                })
            }
            Event::Map(flow) => {
                let style = if flow {
                    unsafe_sys::YAML_FLOW_MAPPING_STYLE
                } else {
                    unsafe_sys::YAML_BLOCK_MAPPING_STYLE
                };
                let tag = c"tag:yaml.org,2002:map";
                // SAFETY: the tag ends in 0; libyaml copies it.
                self.emit(|e| unsafe {
                    unsafe_sys::yaml_mapping_start_event_initialize(
                        e,
                        ptr::null(),
                        tag.as_ptr().cast(),
                        true,
                        style,
                    )
                    .ok
                })
            }
            // SAFETY: the calls initialize the event.
            Event::ListEnd => self.emit(|e| unsafe { unsafe_sys::yaml_sequence_end_event_initialize(e).ok }),
            // SAFETY: as above.
            Event::MapEnd => self.emit(|e| unsafe { unsafe_sys::yaml_mapping_end_event_initialize(e).ok }),
        }
    }

    /// Ends the document: its text.
    ///
    /// # Errors
    /// Where a collection is still open.
    pub fn end(mut self) -> Result<String, Error> {
        let implicit = !self.layout.end;
        // SAFETY: the calls initialize the event.
        self.emit(|e| unsafe { unsafe_sys::yaml_document_end_event_initialize(e, implicit).ok })?;
        // SAFETY: as above.
        self.emit(|e| unsafe { unsafe_sys::yaml_stream_end_event_initialize(e).ok })?;
        String::from_utf8(std::mem::take(&mut *self.out)).map_err(|_| Error::new("the text is no UTF-8"))
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        // SAFETY: the emitter is initialized, and deleted once; events that it still holds go with it.
        unsafe { unsafe_sys::yaml_emitter_delete(self.raw.as_mut_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Event<'_> {
        Event::Scalar { tag: "tag:yaml.org,2002:str", text, plain: true, quoted: true, quote: Quote::Any }
    }

    #[test]
    fn lists_are_padded_as_libyaml_pads_them() {
        let layout = Layout { indent: 4, width: Some(80), canonical: false, start: false, end: false };
        let mut e = Emitter::new(layout).unwrap();
        e.begin().unwrap();
        for part in [
            Event::Map(false),
            scalar("l"),
            Event::List(false),
            scalar("x"),
            Event::Map(false),
            scalar("y"),
            Event::List(true),
            scalar("a: b"),
            Event::ListEnd,
            Event::MapEnd,
            Event::ListEnd,
            Event::MapEnd,
        ] {
            e.put(part).unwrap();
        }
        assert_eq!(e.end().unwrap(), "l:\n- x\n-   y: ['a: b']\n");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let layout = Layout { indent: 2, width: None, canonical: false, start: true, end: true };
        let mut e = Emitter::new(layout).unwrap();
        e.begin().unwrap();
        assert!(e.put(Event::ListEnd).is_err());
    }
}
