//! The command-line contract: `nnc_decoder INPUT OUTPUT`, with a safetensors file as output.
#![forbid(unsafe_code)]

use nnc_decoder::fault::Class;
use nnc_decoder::stream::{decode, Tensor};
use std::fmt::Write;
use std::process::ExitCode;

fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut body) = (String::from("{"), Vec::new());
    for (i, t) in tensors.iter().enumerate() {
        if tensors[i + 1..].iter().any(|later| later.name == t.name) {
            continue;
        }
        let begin = body.len();
        body.extend_from_slice(&t.bytes);
        let mut name = String::new();
        for c in t.name.chars() {
            let _ = match c {
                '"' | '\\' => write!(name, "\\{c}"),
                c if c < ' ' => write!(name, "\\u{:04x}", c as u32),
                c => write!(name, "{c}"),
            };
        }
        let comma = if header.len() > 1 { "," } else { "" };
        let dtype = if t.integer { "I32" } else { "F32" };
        let _ = write!(
            header,
            "{comma}\"value:{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{:?},\"data_offsets\":[{begin},{}]}}",
            t.shape,
            body.len()
        );
    }
    header.push('}');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend(body);
    file
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return ExitCode::from(70);
    };
    let Ok(stream) = std::fs::read(input) else {
        return ExitCode::from(70);
    };
    let fault = match decode(&stream) {
        Ok(tensors) => {
            let written = std::fs::write(output, safetensors(&tensors));
            return ExitCode::from(if written.is_ok() { 0 } else { 70 });
        }
        Err(fault) => fault,
    };
    let class = match fault.class {
        Class::Truncated => "truncated",
        Class::Malformed => "malformed",
        Class::Limit => "limit",
        Class::Unsupported => return ExitCode::from(69),
    };
    eprintln!("nnr-error: {class} bit={} {}", fault.bit, fault.text);
    ExitCode::from(1)
}
