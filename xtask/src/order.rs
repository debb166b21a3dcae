//! Finds an order of a module's functions in which they compress better.
//!
//! The compiler leaves functions in the order of its crates, and gzip looks back no further than 32 KiB. Functions that
//! share many short pieces of code (those made from one generic, most of all) are put side by side here; what they do and
//! how they call each other stays the same. wasm-opt moves them: this only gives each the name of its place.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

/// How many bytes of code make a piece.
const PIECE: usize = 5;
/// A piece that more functions than this have tells nothing.
const COMMON: usize = 300;
/// To how many functions before it the next one is compared.
const LOOK_BACK: usize = 12;
/// Keeps very short functions, of which every piece may be known, from coming first.
const SHORT: usize = 100;

/// The module with a name for every function of its own: their order by name is the one that compresses better.
pub(crate) fn name_functions(module: &[u8]) -> Result<Vec<u8>> {
    let (imported, bodies) = functions(module)?;
    let mut places = vec![0; bodies.len()];
    for (place, function) in order(&bodies).into_iter().enumerate() {
        places[function] = place;
    }
    // A custom section "name" with its subsection 1, function names (WebAssembly, appendix A.4).
    let mut names = Vec::new();
    write_number(&mut names, bodies.len());
    for (function, place) in places.into_iter().enumerate() {
        write_number(&mut names, imported + function);
        write_bytes(&mut names, format!("{place:08}").as_bytes());
    }
    let mut section = Vec::new();
    write_bytes(&mut section, b"name");
    section.push(1);
    write_bytes(&mut section, &names);
    let mut named = module.to_vec();
    named.push(0);
    write_bytes(&mut named, &section);
    Ok(named)
}

/// The functions by their indices, each after those that it is most like.
fn order(bodies: &[&[u8]]) -> Vec<usize> {
    let pieces = common_pieces(bodies);
    let mut having: Vec<Vec<usize>> = Vec::new();
    for (function, own) in pieces.iter().enumerate() {
        for &piece in own {
            if having.len() <= piece {
                having.resize(piece + 1, Vec::new());
            }
            having[piece].push(function);
        }
    }
    let mut placed = vec![false; bodies.len()];
    let mut found = Vec::with_capacity(bodies.len());
    let mut shared = vec![0_usize; bodies.len()];
    // In which round a piece was last counted.
    let mut counted = vec![usize::MAX; having.len()];
    let mut first_left = 0;
    let mut next = (0..bodies.len()).max_by_key(|&function| (pieces[function].len(), Reverse(function)));
    while let Some(function) = next {
        placed[function] = true;
        found.push(function);
        let round = found.len();
        let mut alike = Vec::new();
        for &earlier in found.iter().rev().take(LOOK_BACK) {
            for &piece in &pieces[earlier] {
                if std::mem::replace(&mut counted[piece], round) == round {
                    continue;
                }
                for &other in having[piece].iter().filter(|&&other| !placed[other]) {
                    if shared[other] == 0 {
                        alike.push(other);
                    }
                    shared[other] += 1;
                }
            }
        }
        // The greatest share of known pieces; fractions are compared crosswise.
        let better = |&a: &usize, &b: &usize| {
            let (of_a, of_b) = (pieces[a].len() + SHORT, pieces[b].len() + SHORT);
            (shared[a] * of_b).cmp(&(shared[b] * of_a)).then(b.cmp(&a))
        };
        next = alike.iter().copied().max_by(better);
        for other in alike {
            shared[other] = 0;
        }
        while placed.get(first_left) == Some(&true) {
            first_left += 1;
        }
        next = next.or_else(|| (first_left < placed.len()).then_some(first_left));
    }
    found
}

/// For each function, the pieces of its code that other functions have as well, by small numbers.
fn common_pieces(bodies: &[&[u8]]) -> Vec<Vec<usize>> {
    let mut all: Vec<(u64, usize)> = Vec::new();
    for (function, body) in bodies.iter().enumerate() {
        let pieces = body.windows(PIECE).map(|piece| piece.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
        all.extend(pieces.map(|piece| (piece, function)));
    }
    all.sort_unstable();
    all.dedup();
    let mut pieces = vec![Vec::new(); bodies.len()];
    let same = all.chunk_by(|a, b| a.0 == b.0).filter(|same| (2..=COMMON).contains(&same.len()));
    for (number, same) in same.enumerate() {
        for &(_, function) in same {
            pieces[function].push(number);
        }
    }
    pieces
}

/// How many functions a module imports, and the code of its own.
fn functions(module: &[u8]) -> Result<(usize, Vec<&[u8]>)> {
    let sections = sections(module)?;
    let mut imported = 0;
    if let Some(section) = sections.get(&2) {
        let mut reader = Reader { bytes: &module[section.clone()], at: 0 };
        for _ in 0..reader.number()? {
            reader.bytes()?;
            reader.bytes()?;
            // What is imported, and its type (WebAssembly, section 5.5.5).
            match reader.byte()? {
                0 => {
                    imported += 1;
                    reader.number()?;
                }
                1 => {
                    reader.byte()?;
                    reader.limits()?;
                }
                2 => reader.limits()?,
                3 => {
                    reader.bytes_of(2)?;
                }
                _ => bail!("the module imports something unknown"),
            }
        }
    }
    let code = sections.get(&10).context("the module has no code")?;
    let mut reader = Reader { bytes: &module[code.clone()], at: 0 };
    let bodies = (0..reader.number()?).map(|_| reader.bytes()).collect::<Result<_>>()?;
    Ok((imported, bodies))
}

/// Where the sections of a module are, by their numbers; custom ones (0) have no place of their own.
fn sections(module: &[u8]) -> Result<BTreeMap<u8, Range<usize>>> {
    ensure!(module.starts_with(b"\0asm\x01\0\0\0"), "this is no WebAssembly module");
    let mut reader = Reader { bytes: module, at: 8 };
    let mut found = BTreeMap::new();
    while reader.at < module.len() {
        let number = reader.byte()?;
        let length = reader.bytes()?.len();
        found.insert(number, reader.at - length..reader.at);
    }
    Ok(found)
}

/// Reads what WebAssembly's binary format is made of (WebAssembly, section 5.2).
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).context("the module ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..32).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number in the module is too long")
    }

    /// How large a table or a memory is at least, and perhaps at most.
    fn limits(&mut self) -> Result<()> {
        let at_most = self.byte()? & 1;
        (0..=at_most).try_for_each(|_| self.number().map(drop))
    }

    /// Bytes after their number.
    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.bytes_of(length)
    }

    fn bytes_of(&mut self, length: usize) -> Result<&'a [u8]> {
        let bytes = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        self.at += length;
        bytes.context("the module ends too early")
    }
}

fn write_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len());
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of functions with this code, and one import; the code need not be valid.
    fn module(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut code = Vec::new();
        write_number(&mut code, bodies.len());
        bodies.iter().for_each(|body| write_bytes(&mut code, body));
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (number, section) in [(2, b"\x01\x01m\x01f\0\0".as_slice()), (10, &code)] {
            module.push(number);
            write_bytes(&mut module, section);
        }
        module
    }

    fn code(seed: u8) -> Vec<u8> {
        (0..200_u8).map(|byte| byte.wrapping_mul(seed) ^ seed).collect()
    }

    /// The names of the functions, in the order of their indices.
    fn names(named: &[u8], of: &[u8]) -> Vec<String> {
        assert!(named.starts_with(of), "nothing but a section is added");
        let mut reader = Reader { bytes: named, at: of.len() };
        assert_eq!(reader.byte().unwrap(), 0);
        let mut section = Reader { bytes: reader.bytes().unwrap(), at: 0 };
        assert_eq!((section.bytes().unwrap(), section.byte().unwrap()), (b"name".as_slice(), 1));
        let mut names = Reader { bytes: section.bytes().unwrap(), at: 0 };
        (0..names.number().unwrap())
            .map(|function| {
                assert_eq!(names.number().unwrap(), function + 1, "after the imported one");
                String::from_utf8(names.bytes().unwrap().to_vec()).unwrap()
            })
            .collect()
    }

    #[test]
    fn functions_that_are_alike_come_side_by_side() {
        let longer = [code(7), vec![1, 2, 3]].concat();
        let module = module(&[code(7), code(13), longer, [code(13), vec![9]].concat()]);
        let named = name_functions(&module).unwrap();
        let places: Vec<usize> = names(&named, &module).iter().map(|name| name.parse().unwrap()).collect();
        assert_eq!(places[0].abs_diff(places[2]), 1);
        assert_eq!(places[1].abs_diff(places[3]), 1);
        assert_eq!(named, name_functions(&module).unwrap(), "the same at every time");
    }

    #[test]
    fn every_function_has_a_place_of_its_own() {
        let bodies: Vec<Vec<u8>> = (0..200).map(|n| code(n / 3)).chain([Vec::new(), vec![0; 3]]).collect();
        let module = module(&bodies);
        let mut names = names(&name_functions(&module).unwrap(), &module);
        names.sort();
        assert!(names.iter().enumerate().all(|(place, name)| *name == format!("{place:08}")), "{names:?}");
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let whole = module(&[code(3)]);
        for broken in [b"".as_slice(), b"\0asm\x02\0\0\0", &whole[..8], &whole[..whole.len() - 1]] {
            name_functions(broken).unwrap_err();
        }
    }
}
