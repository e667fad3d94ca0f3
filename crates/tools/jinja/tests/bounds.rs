//! Templates of somebody's who means harm, or who has erred: a bound stops them, with an error.

use pileus_jinja::{Dict, Engine, ErrorKind, Str};

fn kind(template: &str) -> Option<ErrorKind> {
    Engine::new().render(&Str::trusted(template), &Dict::new()).err().map(|e| e.kind())
}

#[test]
fn what_would_take_all_memory_or_stack_is_refused() {
    let long = |link: &str| format!("{{{{ 1{} }}}}", link.repeat(20_000));
    for template in [long("+1"), long(" or 1"), long(" | abs"), long("[0]"), long(" if 1")] {
        assert_eq!(kind(&template), Some(ErrorKind::Limit), "{}", &template[..20]);
    }
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000));
    assert_eq!(kind(&deep), Some(ErrorKind::Limit));
    for template in ["{{ range(10 ** 12) | list }}", "{{ 'x' * 10 ** 11 }}", "{{ 2 ** (10 ** 9) }}"] {
        assert_eq!(kind(template), Some(ErrorKind::Limit), "{template}");
    }
}

#[test]
fn text_beyond_ascii_is_no_danger() {
    for text in ["{{ 0é }}", "{{ 1中 }}", "{{ 0x中 }}", "{{ é }}", "{é}", "{{ 'é'[1:] }}é{"] {
        // whether it is an error is not the point
        let _ = Engine::new().render(&Str::trusted(text), &Dict::new());
    }
}
