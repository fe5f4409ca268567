//! Tables: columns told by their start, rows to tensors and back.

use proptest::collection::vec;
use proptest::prelude::*;

use formats::table::{from_tensors, preview, sniff, to_tensors};
use types::{ColumnType, Datatype, Tensor, TensorSpec};

fn input(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() }
}

#[test]
fn columns_are_told_by_their_cells() {
    let csv = "when,user,count,share,ok,agent,empty,flag\n\
        2020-02-03 12:43:30.772,-4324475583306591935,1,0.5,True,\"a, b\",,1\n\
        2020-02-03T12:43:30Z,7,NA,1e3,false,c,,0\n";
    let table = preview(csv.as_bytes(), 1).unwrap();
    let told: Vec<(&str, ColumnType)> =
        table.columns.iter().map(|column| (column.name.as_str(), column.column_type)).collect();
    assert_eq!(
        told,
        [
            ("when", ColumnType::Timestamp),
            ("user", ColumnType::Integer),
            ("count", ColumnType::Integer),
            ("share", ColumnType::Number),
            ("ok", ColumnType::Boolean),
            ("agent", ColumnType::Text),
            ("empty", ColumnType::Text),
            ("flag", ColumnType::Integer),
        ]
    );
    assert_eq!(table.rows.len(), 1);
    assert_eq!(table.rows[0][5], "a, b");
}

#[test]
fn a_table_without_header_gets_names() {
    let columns = sniff(&b"1,2.5\n3,4\n"[..]).unwrap();
    assert_eq!(columns[1].name, "column_2");
    assert_eq!(columns[0].column_type, ColumnType::Integer);
}

#[test]
fn only_the_start_of_a_large_table_is_read() {
    let row = format!("{},{}\n", "x".repeat(1_000), 7);
    let csv = format!("text,number\n{}", row.repeat(3_000));
    assert_eq!(sniff(csv.as_bytes()).unwrap()[1].column_type, ColumnType::Integer);
}

#[test]
fn rows_become_what_the_model_takes() {
    let matrix = [input("x", Datatype::Fp32, &[-1, 2])];
    for csv in ["1,2\n3,\n", "a,b\n1,2\n3,nan\n", "1,2\r\n3,NA"] {
        let tensors = to_tensors(csv.as_bytes(), &matrix).unwrap();
        assert_eq!(tensors[0].shape, [2, 2], "{csv}");
        assert_eq!(tensors[0].data[..12], [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64]);
    }
    let columns = [input("age", Datatype::Int64, &[-1, 1]), input("name", Datatype::Bytes, &[-1])];
    let tensors = to_tensors(b"name,age\nanna,7\n", &columns).unwrap();
    assert_eq!((tensors[0].name.as_str(), &tensors[0].shape[..]), ("age", &[1, 1][..]));
    assert_eq!(&tensors[1].data[..], b"\x04\0\0\0anna");
    assert_eq!(to_tensors(b"7,anna\n", &columns).unwrap(), tensors);
    let vector = [input("v", Datatype::Int8, &[3])];
    assert_eq!(to_tensors(b"1,2,-3", &vector).unwrap()[0].data, [1_u8, 2, 253][..]);
}

#[test]
fn tables_that_do_not_fit_are_refused_with_a_cure() {
    let matrix = [input("x", Datatype::Fp32, &[-1, 2])];
    let image = [input("x", Datatype::Fp32, &[-1, 3, 8, 8])];
    let pair = [input("a", Datatype::Int64, &[-1]), input("b", Datatype::Bool, &[-1])];
    let cases: [(&[u8], &[TensorSpec]); 10] = [
        (b"", &matrix),
        (b"a,b\n", &matrix),
        (b"1,2\n3\n", &matrix),
        (b"1;2\n", &matrix),
        (b"1,2,3\n", &matrix),
        (b"1,2\n3,four\n", &matrix),
        (b"1,2\n", &image),
        (b"a,c\n1,true\n", &pair),
        (b"a,b\n1,yes\n", &pair),
        (b"1\n", &pair),
    ];
    let mut answers = String::new();
    for (csv, inputs) in cases {
        let refusal = to_tensors(csv, inputs).unwrap_err();
        answers += &format!("{:?}\n  {refusal}\n", String::from_utf8_lossy(csv));
    }
    answers += &format!("a,a\n  {}\n", sniff(&b"a,a\n1,2\n"[..]).unwrap_err());
    insta::assert_snapshot!(answers);
}

proptest! {
    /// A model's answer as CSV, read as an input of the same kind, is the same.
    #[test]
    fn rows_survive_the_table(
        values in vec(any::<f32>().prop_filter("NaN is not equal", |value| !value.is_nan()), 1..30),
        header: bool,
    ) {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        for columns in [1, values.len()] {
            let rows = values.len() / columns;
            let tensor = Tensor {
                name: "x".to_owned(),
                datatype: Datatype::Fp32,
                shape: vec![rows as u64, columns as u64],
                data: data.clone().into(),
            };
            let csv = from_tensors(std::slice::from_ref(&tensor), header).unwrap();
            let inputs = [input("x", Datatype::Fp32, &[-1, i64::try_from(columns).unwrap()])];
            prop_assert_eq!(to_tensors(&csv, &inputs).unwrap(), vec![tensor]);
        }
    }

    /// No bytes make the reader panic.
    #[test]
    fn any_bytes_are_a_table_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let _ = preview(&bytes[..], 10);
        let _ = to_tensors(&bytes, &[input("x", Datatype::Fp32, &[-1, -1])]);
    }
}
