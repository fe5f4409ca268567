//! `NumPy` arrays.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use formats::npy::{read, write};
use types::{Datatype, Tensor};

fn file(header: &str, data: &[u8]) -> Bytes {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file.into()
}

#[test]
fn columns_first_and_big_endian_are_turned() {
    let header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
    let columns_first = [[0, 1], [0, 4], [0, 2], [0, 5], [0, 3], [0, 6]].concat();
    let tensor = read(&file(header, &columns_first), "x").unwrap();
    assert_eq!((tensor.datatype, &tensor.shape[..]), (Datatype::Int16, &[2, 3][..]));
    assert_eq!(tensor.data, [[1, 0], [2, 0], [3, 0], [4, 0], [5, 0], [6, 0]].concat());
}

#[test]
fn texts_of_both_kinds_are_read() {
    let header = "{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }";
    let tensor = read(&file(header, b"ab\0xyz"), "x").unwrap();
    assert_eq!(&tensor.data[..], b"\x02\0\0\0ab\x03\0\0\0xyz");
    let header = "{'descr': '>U2', 'fortran_order': False, 'shape': (), }";
    let tensor = read(&file(header, &[0, 0, 0, 0xE4, 0, 0, 0, 0]), "x").unwrap();
    assert_eq!(&tensor.data[..], "\u{2}\0\0\0ä".as_bytes());
}

#[test]
fn broken_files_are_refused_with_a_cure() {
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
    };
    let cases: [(&str, Bytes); 10] = [
        ("nothing", Bytes::new()),
        ("another file", Bytes::from_static(b"PK\x03\x04")),
        ("cut in the header", Bytes::from_static(b"\x93NUMPY\x01\x00\xFF")),
        ("another version", Bytes::from_static(b"\x93NUMPY\x09\x00\x00\x00")),
        ("a long header", Bytes::from_static(b"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF")),
        ("objects", file(&header("'|O'", "(1,)"), &[0; 8])),
        ("structures", file(&header("[('a', '<f4')]", "(1,)"), &[0; 4])),
        ("too little data", file(&header("'<f4'", "(2, 2)"), &[0; 8])),
        ("a huge shape", file(&header("'<f4'", "(4294967296, 4294967296)"), &[])),
        ("empty texts", file(&header("'|S0'", "(281474976710656,)"), &[])),
    ];
    let mut answers = String::new();
    for (name, bytes) in cases {
        answers += &format!("{name}: {}\n", read(&bytes, "x").unwrap_err());
    }
    insta::assert_snapshot!(answers);
}

fn tensors() -> impl Strategy<Value = Tensor> {
    let numbers = (0..13_usize, vec(0..5_u64, 0..4)).prop_flat_map(|(kind, shape)| {
        let datatype = Datatype::ALL[kind];
        let bytes = datatype.element_bytes().unwrap() as u64 * shape.iter().product::<u64>();
        let data = vec(any::<u8>(), usize::try_from(bytes).unwrap());
        data.prop_map(move |data| (datatype, shape.clone(), data))
    });
    let texts = vec("[a-zä€😀\\x00]{0,5}[a-z]", 0..5).prop_map(|texts| {
        let data = texts.iter().flat_map(|text: &String| {
            let length = u32::try_from(text.len()).unwrap().to_le_bytes();
            length.into_iter().chain(text.bytes()).collect::<Vec<u8>>()
        });
        (Datatype::Bytes, vec![texts.len() as u64], data.collect())
    });
    prop_oneof![numbers, texts].prop_map(|(datatype, shape, data)| Tensor {
        name: "x".to_owned(),
        datatype,
        shape,
        data: data.into(),
    })
}

proptest! {
    /// What is written is read back.
    #[test]
    fn arrays_survive_the_file(tensor in tensors()) {
        if let Ok(file) = write(&tensor) {
            prop_assert_eq!(read(&file, "x").unwrap(), tensor);
        } else {
            prop_assert_eq!(tensor.datatype, Datatype::Bf16);
        }
    }

    /// No bytes make the reader panic.
    #[test]
    fn any_bytes_are_an_array_or_an_error(bytes in vec(any::<u8>(), 0..200), header: bool) {
        let file: Bytes = if header {
            [b"\x93NUMPY\x01\x00\x40\x00", &bytes[..]].concat().into()
        } else {
            bytes.into()
        };
        let _ = read(&file, "x");
    }
}
