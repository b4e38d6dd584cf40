// SPDX-License-Identifier: Apache-2.0
//! The command-line contract: `nnc_decoder INPUT... --to OUTPUT... [--trace] [--shape=NAME=2x3]...`.
#![forbid(unsafe_code)]

use nnc_decoder::fault::Fault;
use nnc_decoder::payload::Shapes;
use nnc_decoder::stream::Decoder;
use std::ffi::OsString;
use std::fs;
use std::io::BufWriter;
use std::process::ExitCode;

const REJECTED: u8 = 1;
const USAGE: u8 = 64;
const INPUT_OUTPUT: u8 = 70;

#[derive(Default)]
struct Arguments {
    inputs: Vec<OsString>,
    outputs: Vec<OsString>,
    shapes: Shapes,
    trace: bool,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut parsed = Self::default();
        let mut behind_to = false;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            if argument == "--to" {
                behind_to = true;
            } else if argument == "--trace" {
                parsed.trace = true;
            } else if let Some(shape) = argument.to_str().and_then(|text| text.strip_prefix("--shape=")) {
                let (name, shape) = parse_shape(shape)?;
                parsed.shapes.insert(name, shape);
            } else if behind_to {
                parsed.outputs.push(argument);
            } else {
                parsed.inputs.push(argument);
            }
        }
        let is_valid = !parsed.inputs.is_empty() && parsed.inputs.len() == parsed.outputs.len();
        is_valid.then_some(parsed)
    }
}

/// `NAME=2x3`; `NAME=` is a shape without dimensions.
fn parse_shape(argument: &str) -> Option<(String, Vec<u64>)> {
    let (name, shape) = argument.rsplit_once('=')?;
    let sizes = shape.split('x').filter(|size| !size.is_empty());
    let sizes: Result<_, _> = sizes.map(str::parse).collect();
    Some((name.to_owned(), sizes.ok()?))
}

enum Failure {
    Rejected(usize, Fault),
    InputOutput(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::InputOutput(error)
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut decoder = Decoder::new(arguments.shapes);
    if arguments.trace {
        decoder = decoder.with_trace();
    }
    let paths = arguments.inputs.iter().zip(&arguments.outputs);
    for (stream, (input, output)) in paths.enumerate() {
        let bytes = fs::read(input)?;
        let answer = decoder
            .decode(&bytes)
            .map_err(|fault| Failure::Rejected(stream, fault))?;
        let mut file = BufWriter::new(fs::File::create(output)?);
        answer.write_safetensors(&mut file)?;
        let beside = |extension| {
            let mut path = output.clone();
            path.push(extension);
            path
        };
        fs::write(beside(".json"), answer.report())?;
        if let Some(trace) = &answer.trace {
            fs::write(beside(".trace"), trace)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::parse(std::env::args_os().skip(1)) else {
        eprintln!("usage: nnc_decoder INPUT... --to OUTPUT... [--trace] [--shape=NAME=2x3]...");
        return ExitCode::from(USAGE);
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::InputOutput(error)) => {
            eprintln!("nnc_decoder: {error}");
            ExitCode::from(INPUT_OUTPUT)
        }
        Err(Failure::Rejected(stream, fault)) => {
            eprintln!(
                "nnr-error: {} bit={} stage={} stream={stream} {}",
                fault.class.name(),
                fault.bit,
                fault.stage.name(),
                fault.text
            );
            ExitCode::from(REJECTED)
        }
    }
}
