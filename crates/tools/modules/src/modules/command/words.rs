//! Splitting a command line into words as Python's `shlex.split` (POSIX rules, no comments).

/// The words of a line.
///
/// # Errors
/// `No closing quotation`, `No escaped character`.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let next = chars.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(next);
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("No closing quotation")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("No closing quotation")? {
                        '"' => break,
                        '\\' => {
                            let next = chars.next().ok_or("No escaped character")?;
                            if next != '"' && next != '\\' {
                                word.push('\\');
                            }
                            word.push(next);
                        }
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn posix_rules() {
        assert_eq!(
            split(r#"a 'b c' "d \"e\" \n" f\ g '' "#).unwrap(),
            ["a", "b c", r#"d "e" \n"#, "f g", ""]
        );
        assert_eq!(split("echo 'a").unwrap_err(), "No closing quotation");
        assert!(split("").unwrap().is_empty());
    }
}
