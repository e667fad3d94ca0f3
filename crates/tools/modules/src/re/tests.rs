use super::*;

fn find(pattern: &str, text: &str) -> Option<String> {
    let regex = Regex::new(pattern, Flags::default()).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    regex.search(text.as_bytes()).map(|m| text[m.start()..m.end()].to_string())
}

fn sub(pattern: &str, template: &str, text: &str) -> String {
    let flags = Flags { multi_line: true, ..Flags::default() };
    let (out, _) = Regex::new(pattern, flags).unwrap().replace_all(text.as_bytes(), template).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_python_finds() {
    for (pattern, text, found) in [
        ("a+b", "xaaab", Some("aaab")),
        ("^#?Port ", "#Port 22", Some("#Port ")),
        ("(a|ab)(c|bcd)(d*)", "abcd", Some("abcd")),
        ("a.*?b", "axxbxb", Some("axxb")),
        ("(?i)HELLO", "say hello", Some("hello")),
        ("x{2,3}", "xxxx", Some("xxx")),
        ("x{,2}y", "xxxy", Some("xxy")),
        (r"\bfoo\b", "a foo b", Some("foo")),
        (r"(\w)\1", "abccd", Some("cc")),
        (r"(?P<q>['\x22]).*?(?P=q)", "say 'hi' \"", Some("'hi'")),
        ("(?<=a)b", "cb ab", Some("b")),
        ("foo(?!bar)", "foobar foox", Some("foo")),
        ("[^]a]", "]ab", Some("b")),
        ("[]a]+", "x]a", Some("]a")),
        ("a$", "a\n", Some("a")),
        (r"a\Z", "a\n", None),
        ("(?:a*)*b", "aaab", Some("aaab")),
        ("(a*)+$", "aaaa!", Some("")),
        ("é.", "cafées", Some("ée")),
        ("(?x) a b # comment\n c", "abc", Some("abc")),
        ("(?s)a.b", "a\nb", Some("a\nb")),
        ("(?>a+)ab", "aaab", None),
        ("(<)?x(?(1)>|!)", "<x>", Some("<x>")),
        ("[a-c-]+", "-ab", Some("-ab")),
        (r"^\s*$", "", Some("")),
        ("{", "a{", Some("{")),
        ("a{x", "a{x", Some("a{x")),
        (r"[\w.]+@[\w.]+", "to me@x.org now", Some("me@x.org")),
    ] {
        assert_eq!(find(pattern, text).as_deref(), found, "{pattern:?} in {text:?}");
    }
}

#[test]
fn substitution_as_in_python() {
    assert_eq!(sub(r"^(\w+)=(\d+)$", r"\2=\g<1>", "a=1\nb=2"), "1=a\n2=b");
    assert_eq!(sub("x*", "-", "abxd"), "-a-b--d-");
    assert_eq!(sub("a", r"\\n", "a"), r"\n");
    assert_eq!(sub("(a)|b", r"[\1]", "ab"), "[a][]");
    let regex = Regex::new("(a)", Flags::default()).unwrap();
    assert_eq!(regex.replace_all(b"a", r"\2").unwrap_err(), "invalid group reference 2 at position 1");
}

#[test]
fn errors_are_python_s() {
    for (pattern, error) in [
        ("(a", "missing ), unterminated subpattern at position 0"),
        ("a)", "unbalanced parenthesis at position 1"),
        ("*a", "nothing to repeat at position 0"),
        ("a**", "multiple repeat at position 2"),
        ("[a", "unterminated character set at position 0"),
        ("[b-a]", "bad character range at position 3"),
        (r"\q", r"bad escape \q at position 0"),
        ("(?<=a*)b", "look-behind requires fixed-width pattern"),
    ] {
        assert_eq!(Regex::new(pattern, Flags::default()).unwrap_err(), error, "{pattern:?}");
    }
}

#[test]
fn bytes_that_are_no_text() {
    let regex = bytes("a.b").unwrap();
    assert!(regex.is_match(b"a\xffb"));
    assert!(regex.is_match("aéb".as_bytes()));
}
