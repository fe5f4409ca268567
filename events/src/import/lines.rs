//! Lines of a file, one after the other, however long they are.
//!
//! Always true: a line that is too long is refused without being held; the last one needs no line
//! feed. Absent on purpose: what a line means.

use std::io::{BufRead as _, BufReader, Read};

use super::{LINE_BYTES_MAX, Taking};
use crate::error::Error;

/// What is read of a file at a time.
const READ_BYTES: usize = 256 * 1024;

/// Hands over every line that is not empty, with its number from 1, and counts it.
pub(super) fn each<'a, 'b>(
    input: impl Read,
    taking: &mut Taking<'a, 'b>,
    mut take: impl FnMut(&mut Taking<'a, 'b>, u64, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut input = BufReader::with_capacity(READ_BYTES, input);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let most = LINE_BYTES_MAX as u64 + 2;
        let read = (&mut input).take(most).read_until(b'\n', &mut line).map_err(Error::Input)?;
        if read == 0 {
            break;
        }
        let is_cut = line.last() != Some(&b'\n') && read as u64 == most;
        if is_cut {
            skip(&mut input)?;
        }
        let text = std::str::from_utf8(&line).map(str::trim_ascii_end);
        if text == Ok("") {
            continue;
        }
        taking.summary.read += 1;
        match text {
            _ if is_cut => {
                let why = format!("it has more than {LINE_BYTES_MAX} bytes, as no event may have");
                taking.refuse(number, why);
            }
            Ok(text) => {
                let text = if number == 1 { text.trim_start_matches('\u{FEFF}') } else { text };
                take(taking, number, text)?;
            }
            Err(_) => taking.refuse(number, "it is not UTF-8: save the file as UTF-8"),
        }
    }
    Ok(())
}

/// Goes to the end of the line.
fn skip(input: &mut impl std::io::BufRead) -> Result<(), Error> {
    loop {
        let there = input.fill_buf().map_err(Error::Input)?;
        let (end, length) = (there.iter().position(|byte| *byte == b'\n'), there.len());
        input.consume(end.map_or(length, |end| end + 1));
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}
