//! Batches: joining the inputs of several requests, and splitting the outputs again.
//!
//! Always true: the rows of a request leave in the order in which they came in; nothing is copied.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use types::Tensor;

use crate::check::Request;
use crate::engine::{Description, Input};

/// The size of a request's first dimension, where that is the model's to leave free, and all inputs
/// agree on one that is not 0.
pub(crate) fn rows(request: &Request, model: &Description) -> Option<u32> {
    if !model.free_first {
        return None;
    }
    let rows = *request.inputs.first()?.shape.first()?;
    let same = request.inputs.iter().all(|tensor| tensor.shape.first() == Some(&rows));
    if same && rows > 0 { u32::try_from(rows).ok() } else { None }
}

/// Equal for requests that may run together: the other dimensions are the same.
pub(crate) fn shape_key(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    for tensor in &request.inputs {
        tensor.shape.get(1..).hash(&mut hasher);
    }
    // The top bit is for requests that run alone.
    hasher.finish() >> 1
}

/// Joins the inputs of these requests.
pub(crate) fn join(requests: &[&Request]) -> Vec<Input> {
    let Some(first) = requests.first() else { return Vec::new() };
    let one = |index: usize| {
        let parts = requests.iter().map(|request| request.inputs[index].data.clone()).collect();
        let mut shape = first.inputs[index].shape.clone();
        if requests.len() > 1
            && let Some(rows) = shape.first_mut()
        {
            *rows = requests.iter().map(|request| request.inputs[index].shape[0]).sum();
        }
        Input { shape, parts }
    };
    (0..first.inputs.len()).map(one).collect()
}

/// Splits the outputs of a run among requests with these many rows; none where the model did not
/// give as many rows as it was given.
pub(crate) fn split(outputs: &[Tensor], rows: &[u64]) -> Option<Vec<Vec<Tensor>>> {
    let total: u64 = rows.iter().sum();
    let mut shares: Vec<Vec<Tensor>> =
        rows.iter().map(|_| Vec::with_capacity(outputs.len())).collect();
    for output in outputs {
        if output.shape.first() != Some(&total) {
            return None;
        }
        let mut rest = output.data.clone();
        for (&rows, share) in rows.iter().zip(&mut shares) {
            let mut shape = output.shape.clone();
            shape[0] = rows;
            let taken = Tensor { shape, data: Bytes::new(), ..output.clone() };
            let bytes = data_bytes(&taken, &rest)?;
            share.push(Tensor { data: rest.split_to(bytes), ..taken });
        }
    }
    Some(shares)
}

/// How many bytes of `rest` belong to a tensor of this shape.
fn data_bytes(tensor: &Tensor, rest: &[u8]) -> Option<usize> {
    let elements = usize::try_from(tensor.elements()?).ok()?;
    let bytes = if let Some(bytes) = tensor.datatype.element_bytes() {
        elements.checked_mul(bytes)?
    } else {
        let mut at = 0;
        for _ in 0..elements {
            let head = rest.get(at..)?.first_chunk::<4>()?;
            at = at.checked_add(4 + u32::from_le_bytes(*head) as usize)?;
        }
        at
    };
    (bytes <= rest.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use types::Datatype;

    use super::*;

    fn request(rows: u64, fill: u8) -> Request {
        let bytes = usize::try_from(rows).unwrap() * 8;
        let data = Bytes::from(vec![fill; bytes]);
        let (name, datatype) = ("x".to_owned(), Datatype::Fp32);
        Request {
            inputs: vec![Tensor { name, datatype, shape: vec![rows, 2], data }],
            outputs: vec![0],
        }
    }

    proptest! {
        /// What is joined and split again is what it was, for a model that changes nothing.
        #[test]
        fn joining_and_splitting_changes_nothing(sizes in vec(1..9_u64, 1..9)) {
            let requests: Vec<Request> =
                sizes.iter().zip(1..).map(|(&rows, fill)| request(rows, fill)).collect();
            let joined = join(&requests.iter().collect::<Vec<_>>()).remove(0);
            prop_assert_eq!(joined.shape[0], sizes.iter().sum::<u64>());
            let data = Bytes::from(joined.parts.concat());
            let output = Tensor { shape: joined.shape, data, ..requests[0].inputs[0].clone() };
            let shares = split(&[output], &sizes).unwrap();
            for (share, request) in shares.iter().zip(&requests) {
                prop_assert_eq!(&share[0], &request.inputs[0]);
            }
        }
    }

    #[test]
    fn texts_are_split_by_their_lengths() {
        let data = Bytes::from_static(b"\x01\0\0\0a\x03\0\0\0bcd\0\0\0\0");
        let (name, datatype) = ("t".to_owned(), Datatype::Bytes);
        let output = Tensor { name, datatype, shape: vec![3, 1], data };
        let shares = split(std::slice::from_ref(&output), &[1, 2]).unwrap();
        assert_eq!(&shares[0][0].data[..], b"\x01\0\0\0a");
        assert_eq!(&shares[1][0].data[..], b"\x03\0\0\0bcd\0\0\0\0");
        assert_eq!(split(&[output], &[1, 1]), None);
    }
}
