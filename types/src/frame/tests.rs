use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn tensors() -> impl Strategy<Value = Vec<Tensor>> {
    let data = vec(any::<u8>(), 0..64).prop_map(Bytes::from);
    let tensor = ("[a-z_:0-9]{0,12}", 0..14_usize, vec(any::<u64>(), 0..=RANK_MAX), data);
    let tensor = tensor.prop_map(|(name, datatype, shape, data)| Tensor {
        name,
        datatype: Datatype::ALL[datatype],
        shape,
        data,
    });
    vec(tensor, 0..4)
}

fn frames() -> impl Strategy<Value = Frame> {
    let infer = (any::<u64>(), tensors(), vec("[a-z]{0,8}", 0..3)).prop_map(
        |(budget_us, inputs, outputs)| Frame::Infer(Infer { budget_us, inputs, outputs }),
    );
    let answer = (any::<[u64; 4]>(), any::<u32>(), tensors()).prop_map(|(times, rows, outputs)| {
        Frame::Answer(Answer {
            queue_ns: times[0],
            compute_input_ns: times[1],
            compute_infer_ns: times[2],
            compute_output_ns: times[3],
            batch_rows: rows,
            outputs,
        })
    });
    let failure = (0..ErrorKind::ALL.len(), ".{0,40}")
        .prop_map(|(kind, message)| Frame::Failure { kind: ErrorKind::ALL[kind], message });
    let description =
        vec(any::<u8>(), 0..64).prop_map(|json| Frame::Description { json: json.into() });
    prop_oneof![infer, answer, failure, description, Just(Frame::Cancel), Just(Frame::Describe)]
}

proptest! {
    /// What is written is read back, in order, however the bytes are cut.
    #[test]
    fn frames_survive_the_wire(sent in vec((any::<u64>(), frames()), 0..5), cut in 1..40_usize) {
        let mut wire = BytesMut::new();
        for (number, frame) in &sent {
            encode(*number, frame, &mut wire).unwrap();
        }
        let (mut buffer, mut received) = (BytesMut::new(), vec![]);
        for piece in wire.chunks(cut) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = decode(&mut buffer).unwrap() {
                received.push(frame);
            }
        }
        prop_assert_eq!(received, sent);
        prop_assert!(buffer.is_empty());
    }

    /// No bytes make the decoder panic.
    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = decode(&mut buffer) {}
    }

    /// One broken byte in a frame is an error or another frame, never a panic.
    #[test]
    fn a_broken_byte_is_survived(frame in frames(), at in any::<prop::sample::Index>(), to: u8) {
        let mut wire = BytesMut::new();
        encode(1, &frame, &mut wire).unwrap();
        let at = at.index(wire.len());
        wire[at] = to;
        while let Ok(Some(_)) = decode(&mut wire) {}
    }
}
