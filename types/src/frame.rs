//! The worker's wire frame: how a gateway and the worker inside an instance speak.
//!
//! A connection carries frames both ways: a length (four little-endian bytes, of what follows), a
//! kind (one byte), the request's number (eight bytes, chosen by the caller), then the body. Many
//! requests share a connection and are answered in any order. Integers are little-endian; text is
//! its length in two bytes (four for messages), then UTF-8.
//!
//! Always true: a decoder never trusts a length before it has the bytes, and allocates no more
//! than the frame holds. Tensor data is sliced from the frame, never copied.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kinds::ErrorKind;
use crate::tensor::{Datatype, Tensor};

/// Largest frame. A request body is refused earlier; this guards the worker itself.
pub const FRAME_BYTES_MAX: usize = 256 << 20;
/// Most tensors in one frame; models have tens.
pub const TENSORS_MAX: usize = 1_024;
/// Most dimensions of a tensor; ONNX Runtime takes no more.
pub const RANK_MAX: usize = 8;
/// Bytes before the body: length, kind, number.
pub const HEAD_BYTES: usize = 13;

/// What passes between gateway and worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Gateway to worker: run the model.
    Infer(Infer),
    /// Worker to gateway: the answer.
    Answer(Answer),
    /// Worker to gateway: no answer, and why.
    Failure {
        /// What the error means to the caller.
        kind: ErrorKind,
        /// What happened and what to do.
        message: String,
    },
    /// Gateway to worker: the caller is gone; stop working on this number.
    Cancel,
    /// Gateway to worker: say what you are.
    Describe,
    /// Worker to gateway: a JSON object that tells engine, version, inputs and outputs.
    Description {
        /// The object, as text.
        json: Bytes,
    },
}

/// A request to run the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Infer {
    /// Time left for the request, in microseconds from its arrival; 0 for the task's own limit.
    pub budget_us: u64,
    /// The inputs.
    pub inputs: Vec<Tensor>,
    /// Names of the outputs wanted; all where empty.
    pub outputs: Vec<String>,
}

/// The answer of a model, and where its time went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Waiting for a batch and for the engine, in nanoseconds.
    pub queue_ns: u64,
    /// Making the engine's input, in nanoseconds.
    pub compute_input_ns: u64,
    /// Running the engine, in nanoseconds.
    pub compute_infer_ns: u64,
    /// Splitting the engine's output, in nanoseconds.
    pub compute_output_ns: u64,
    /// Rows in the batch that this request was part of.
    pub batch_rows: u32,
    /// The outputs.
    pub outputs: Vec<Tensor>,
}

/// Bytes that are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length before the frame passes the limit.
    #[error("a frame of {bytes} bytes is above the limit of {FRAME_BYTES_MAX}")]
    TooLong {
        /// The length given.
        bytes: u64,
    },
    /// A field is missing or makes no sense.
    #[error("the frame is broken at its {field}")]
    Broken {
        /// The field.
        field: &'static str,
    },
}

const fn broken(field: &'static str) -> FrameError {
    FrameError::Broken { field }
}

/// Appends a frame to `out`.
///
/// # Errors
///
/// [`FrameError::TooLong`] when the frame passes [`FRAME_BYTES_MAX`], [`FrameError::Broken`] when a
/// name is longer than its length field can say, or there are too many tensors or dimensions.
/// `out` is then as it was.
pub fn encode(number: u64, frame: &Frame, out: &mut BytesMut) -> Result<(), FrameError> {
    let start = out.len();
    out.put_u32_le(0);
    out.put_u8(kind_number(frame));
    out.put_u64_le(number);
    let written = encode_body(frame, out).and_then(|()| {
        let bytes = out.len() - start - 4;
        match u32::try_from(bytes) {
            Ok(length) if bytes <= FRAME_BYTES_MAX => Ok(length),
            _ => Err(FrameError::TooLong { bytes: bytes as u64 }),
        }
    });
    match written {
        Ok(length) => out[start..start + 4].copy_from_slice(&length.to_le_bytes()),
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

/// Takes the first whole frame off `buffer`; none while bytes are missing.
///
/// # Errors
///
/// After an error the connection cannot be read further.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<(u64, Frame)>, FrameError> {
    let Some(head) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*head) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes: length as u64 });
    }
    if length < HEAD_BYTES - 4 {
        return Err(broken("length"));
    }
    if buffer.len() < 4 + length {
        buffer.reserve(4 + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(4);
    let mut body = buffer.split_to(length).freeze();
    let kind = body.get_u8();
    let number = body.get_u64_le();
    decode_body(kind, &mut body).map(|frame| Some((number, frame)))
}

const fn kind_number(frame: &Frame) -> u8 {
    match frame {
        Frame::Infer(_) => 1,
        Frame::Answer(_) => 2,
        Frame::Failure { .. } => 3,
        Frame::Cancel => 4,
        Frame::Describe => 5,
        Frame::Description { .. } => 6,
    }
}

fn encode_body(frame: &Frame, out: &mut BytesMut) -> Result<(), FrameError> {
    match frame {
        Frame::Infer(infer) => {
            out.put_u64_le(infer.budget_us);
            put_count(infer.outputs.len(), out)?;
            for name in &infer.outputs {
                put_text(name, out)?;
            }
            put_tensors(&infer.inputs, out)
        }
        Frame::Answer(answer) => {
            out.put_u64_le(answer.queue_ns);
            out.put_u64_le(answer.compute_input_ns);
            out.put_u64_le(answer.compute_infer_ns);
            out.put_u64_le(answer.compute_output_ns);
            out.put_u32_le(answer.batch_rows);
            put_tensors(&answer.outputs, out)
        }
        Frame::Failure { kind, message } => {
            out.put_u8(*kind as u8);
            out.put_slice(message.as_bytes());
            Ok(())
        }
        Frame::Cancel | Frame::Describe => Ok(()),
        Frame::Description { json } => {
            out.put_slice(json);
            Ok(())
        }
    }
}

fn put_count(count: usize, out: &mut BytesMut) -> Result<(), FrameError> {
    match u16::try_from(count) {
        Ok(count) if usize::from(count) <= TENSORS_MAX => out.put_u16_le(count),
        _ => return Err(broken("count")),
    }
    Ok(())
}

fn put_text(text: &str, out: &mut BytesMut) -> Result<(), FrameError> {
    out.put_u16_le(u16::try_from(text.len()).map_err(|_| broken("name"))?);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn put_tensors(tensors: &[Tensor], out: &mut BytesMut) -> Result<(), FrameError> {
    put_count(tensors.len(), out)?;
    for tensor in tensors {
        put_text(&tensor.name, out)?;
        out.put_u8(tensor.datatype as u8);
        let rank = u8::try_from(tensor.shape.len()).map_err(|_| broken("rank"))?;
        if usize::from(rank) > RANK_MAX {
            return Err(broken("rank"));
        }
        out.put_u8(rank);
        for &size in &tensor.shape {
            out.put_u64_le(size);
        }
        out.put_u64_le(tensor.data.len() as u64);
    }
    for tensor in tensors {
        out.put_slice(&tensor.data);
    }
    Ok(())
}

fn decode_body(kind: u8, body: &mut Bytes) -> Result<Frame, FrameError> {
    let frame = match kind {
        1 => {
            let budget_us = body.try_get_u64_le().map_err(|_| broken("budget"))?;
            let count = get_count(body)?;
            let outputs = (0..count).map(|_| get_text(body)).collect::<Result<_, _>>()?;
            Frame::Infer(Infer { budget_us, outputs, inputs: get_tensors(body)? })
        }
        2 => {
            let mut time = || body.try_get_u64_le().map_err(|_| broken("times"));
            let (queue_ns, compute_input_ns) = (time()?, time()?);
            let (compute_infer_ns, compute_output_ns) = (time()?, time()?);
            let batch_rows = body.try_get_u32_le().map_err(|_| broken("batch"))?;
            let outputs = get_tensors(body)?;
            Frame::Answer(Answer {
                queue_ns,
                compute_input_ns,
                compute_infer_ns,
                compute_output_ns,
                batch_rows,
                outputs,
            })
        }
        3 => {
            let number = body.try_get_u8().map_err(|_| broken("error kind"))?;
            let kind = ErrorKind::from_number(number).ok_or(broken("error kind"))?;
            let message = String::from_utf8_lossy(body).into_owned();
            body.clear();
            Frame::Failure { kind, message }
        }
        4 => Frame::Cancel,
        5 => Frame::Describe,
        6 => Frame::Description { json: body.split_to(body.len()) },
        _ => return Err(broken("kind")),
    };
    if body.has_remaining() { Err(broken("end")) } else { Ok(frame) }
}

fn get_count(body: &mut Bytes) -> Result<usize, FrameError> {
    let count = usize::from(body.try_get_u16_le().map_err(|_| broken("count"))?);
    if count > TENSORS_MAX { Err(broken("count")) } else { Ok(count) }
}

fn get_text(body: &mut Bytes) -> Result<String, FrameError> {
    let length = usize::from(body.try_get_u16_le().map_err(|_| broken("name"))?);
    if body.len() < length {
        return Err(broken("name"));
    }
    let text = body.split_to(length);
    std::str::from_utf8(&text).map(str::to_owned).map_err(|_| broken("name"))
}

fn get_tensors(body: &mut Bytes) -> Result<Vec<Tensor>, FrameError> {
    let count = get_count(body)?;
    let mut heads = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let name = get_text(body)?;
        let datatype = body.try_get_u8().ok().and_then(Datatype::from_number);
        let datatype = datatype.ok_or(broken("datatype"))?;
        let rank = usize::from(body.try_get_u8().map_err(|_| broken("rank"))?);
        if rank > RANK_MAX {
            return Err(broken("rank"));
        }
        let size = |_| body.try_get_u64_le().map_err(|_| broken("shape"));
        let shape = (0..rank).map(size).collect::<Result<Vec<_>, _>>()?;
        let bytes = body.try_get_u64_le().map_err(|_| broken("data length"))?;
        heads.push((name, datatype, shape, bytes));
    }
    let mut tensors = Vec::with_capacity(heads.len());
    for (name, datatype, shape, bytes) in heads {
        let bytes = usize::try_from(bytes).map_err(|_| broken("data"))?;
        if body.len() < bytes {
            return Err(broken("data"));
        }
        tensors.push(Tensor { name, datatype, shape, data: body.split_to(bytes) });
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests;
