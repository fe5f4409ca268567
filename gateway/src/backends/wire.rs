//! A request as it goes over the wire: small parts together, large tensors as they are.
//!
//! Always true: the bytes are those of `types::frame::encode`. Tensor data from
//! [`COPY_BYTES_MAX`] on is handed to the socket from where it arrived, not copied.

use bytes::{BufMut, Bytes, BytesMut};
use types::Tensor;
use types::frame::{self, Frame, FrameError, HEAD_BYTES, Infer};

/// Up to here a copy costs less than one more part of the write.
pub(super) const COPY_BYTES_MAX: usize = 16 << 10;

/// Room for the names and shapes of a few tensors.
const HEAD_ROOM_BYTES: usize = 512;

/// The kind of a request in the frame.
const KIND_INFER: u8 = 1;

/// The parts of the frame of a request, in order, and their bytes in all.
///
/// # Errors
///
/// As `types::frame::encode`.
pub(super) fn parts(number: u64, infer: &Infer) -> Result<(Vec<Bytes>, usize), FrameError> {
    let data: usize = infer.inputs.iter().map(|tensor| tensor.data.len()).sum();
    let mut head = head(number, infer)?;
    let length = head.len() - 4 + data;
    if length > frame::FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes: length as u64 });
    }
    let length = u32::try_from(length).map_err(|_| FrameError::TooLong { bytes: u64::MAX })?;
    head[..4].copy_from_slice(&length.to_le_bytes());
    let bytes = head.len() + data;
    let mut parts = Vec::with_capacity(infer.inputs.len() + 1);
    for tensor in &infer.inputs {
        if tensor.data.len() <= COPY_BYTES_MAX {
            head.put_slice(&tensor.data);
        } else {
            if !head.is_empty() {
                parts.push(head.split().freeze());
            }
            parts.push(tensor.data.clone());
        }
    }
    if !head.is_empty() {
        parts.push(head.freeze());
    }
    Ok((parts, bytes))
}

/// The frame that tells the worker to stop working on a number.
pub(super) fn cancel(number: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD_BYTES);
    let written = frame::encode(number, &Frame::Cancel, &mut out);
    debug_assert!(written.is_ok(), "a cancel frame has no field that could be too long");
    out.freeze()
}

/// Everything before the tensor data, with a length of 0.
fn head(number: u64, infer: &Infer) -> Result<BytesMut, FrameError> {
    let data = infer.inputs.iter().map(|tensor| tensor.data.len());
    let small: usize = data.filter(|&bytes| bytes <= COPY_BYTES_MAX).sum();
    let mut out = BytesMut::with_capacity(HEAD_BYTES + HEAD_ROOM_BYTES + small);
    out.put_u32_le(0);
    out.put_u8(KIND_INFER);
    out.put_u64_le(number);
    out.put_u64_le(infer.budget_us);
    put_count(infer.outputs.len(), &mut out)?;
    for name in &infer.outputs {
        put_text(name, &mut out)?;
    }
    put_count(infer.inputs.len(), &mut out)?;
    for tensor in &infer.inputs {
        put_tensor_head(tensor, &mut out)?;
    }
    Ok(out)
}

fn put_tensor_head(tensor: &Tensor, out: &mut BytesMut) -> Result<(), FrameError> {
    put_text(&tensor.name, out)?;
    out.put_u8(tensor.datatype as u8);
    let rank = tensor.shape.len();
    if rank > frame::RANK_MAX {
        return Err(FrameError::Broken { field: "rank" });
    }
    out.put_u8(u8::try_from(rank).map_err(|_| FrameError::Broken { field: "rank" })?);
    for &size in &tensor.shape {
        out.put_u64_le(size);
    }
    out.put_u64_le(tensor.data.len() as u64);
    Ok(())
}

fn put_count(count: usize, out: &mut BytesMut) -> Result<(), FrameError> {
    match u16::try_from(count) {
        Ok(number) if count <= frame::TENSORS_MAX => out.put_u16_le(number),
        _ => return Err(FrameError::Broken { field: "count" }),
    }
    Ok(())
}

fn put_text(text: &str, out: &mut BytesMut) -> Result<(), FrameError> {
    let length = u16::try_from(text.len()).map_err(|_| FrameError::Broken { field: "name" })?;
    out.put_u16_le(length);
    out.put_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use types::Datatype;

    use super::*;

    prop_compose! {
        fn tensors()(
            name in "[a-z]{0,9}",
            shape in vec(any::<u64>(), 0..=frame::RANK_MAX),
            datatype in 0..14_usize,
            bytes in prop_oneof![0..64_usize, COPY_BYTES_MAX - 2..COPY_BYTES_MAX * 2],
            fill: u8,
        ) -> Tensor {
            let data = Bytes::from(vec![fill; bytes]);
            Tensor { name, shape, datatype: Datatype::ALL[datatype], data }
        }
    }

    proptest! {
        /// However the tensors are cut into parts, the wire carries the one frame of the house.
        #[test]
        fn the_parts_are_the_frame(
            number: u64,
            budget_us: u64,
            inputs in vec(tensors(), 0..5),
            outputs in vec("[a-z]{0,9}", 0..3),
        ) {
            let infer = Infer { budget_us, inputs, outputs };
            let mut whole = BytesMut::new();
            frame::encode(number, &Frame::Infer(infer.clone()), &mut whole).unwrap();
            let (parts, bytes) = parts(number, &infer).unwrap();
            prop_assert_eq!(bytes, whole.len());
            prop_assert_eq!(parts.concat(), whole.to_vec());
        }
    }
}
