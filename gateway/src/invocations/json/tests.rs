use super::*;

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() }
}

fn told(body: &str, specs: &[TensorSpec]) -> String {
    match read(body.as_bytes(), specs) {
        Ok((tensors, form)) => {
            let one = |it: &Tensor| format!("{} {:?} {:?}", it.name, it.shape, it.data.to_vec());
            let all: Vec<_> = tensors.iter().map(one).collect();
            format!("{form:?} {}", all.join("; "))
        }
        Err(error) => format!("{}: {error}", error.code()),
    }
}

#[test]
fn every_form_of_inputs_is_read_or_refused_with_a_cure() {
    let one = [spec("x", Datatype::Uint8, &[-1, 2])];
    let two = [spec("a", Datatype::Uint8, &[-1, 1]), spec("b", Datatype::Bytes, &[-1, 1])];
    let flat = [spec("x", Datatype::Uint8, &[2])];
    let cases: [(&str, &[TensorSpec]); 18] = [
        (r#"{"instances": [[1, 2], [3, 4]]}"#, &one),
        ("[[1, 2]]", &one),
        (r#"[{"x": [1, 2]}, {"x": [3, 4]}]"#, &one),
        (r#"{"inputs": {"x": [[1, 2]]}}"#, &one),
        (r#"{"inputs": [[1, 2]]}"#, &one),
        (
            r#"{"inputs": [{"name": "x", "datatype": "UINT8", "shape": [1, 2], "data": [1, 2]}]}"#,
            &one,
        ),
        (r#"{"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}"#, &two),
        (r#"{"instances": [[1, 2]]}"#, &flat),
        (r#"{"inputs": {"a": [1, 2], "b": ["x", "y"]}}"#, &two),
        (r#"{"instances": [{"a": 1}]}"#, &two),
        (r#"{"instances": [{"a": 1, "b": "x", "c": 1}]}"#, &two),
        (r#"{"instances": [[1, 2], [3]]}"#, &one),
        (r#"{"instances": [[1, [2]]]}"#, &one),
        (r#"{"instances": [[1, 300]]}"#, &one),
        (r#"{"instances": []}"#, &one),
        (r#"{"data": 1}"#, &one),
        (r#"{"inputs""#, &one),
        ("7", &one),
    ];
    let table: String =
        cases.map(|(body, specs)| format!("{body}\n  {}\n", told(body, specs))).concat();
    insta::assert_snapshot!(table);
}

#[test]
fn answers_are_written_by_row_or_by_output() {
    let float = Tensor {
        name: "score".to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![2, 2],
        data: [0.1_f32, 1.0, f32::NAN, -2.5].iter().flat_map(|it| it.to_le_bytes()).collect(),
    };
    let text = Tensor {
        name: "label".to_owned(),
        datatype: Datatype::Bytes,
        shape: vec![2],
        data: Bytes::from_static(&[1, 0, 0, 0, b'a', 0, 0, 0, 0]),
    };
    let scalar = Tensor { shape: vec![], data: float.data.slice(..4), ..float.clone() };
    let broken =
        Tensor { data: Bytes::from_static(&[1, 0, 0, 0, 255, 0, 0, 0, 0]), ..text.clone() };
    let mut table = String::new();
    let both = [float.clone(), text];
    for outputs in [&both[..1], &both, &[scalar], &[broken]] {
        for form in [Form::Rows, Form::Columns] {
            let line = match write(outputs, form) {
                Ok(body) => String::from_utf8_lossy(&body).into_owned(),
                Err(error) => error.to_string(),
            };
            table += &format!("{form:?} {line}\n");
        }
    }
    insta::assert_snapshot!(table);
}
