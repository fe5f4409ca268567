use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn datatypes() -> impl Strategy<Value = Datatype> {
    prop_oneof![Just(Datatype::Fp32), Just(Datatype::Int64)]
}

fn column_types() -> impl Strategy<Value = ColumnType> {
    prop_oneof![Just(ColumnType::Text), Just(ColumnType::Number)]
}

prop_compose! {
    fn tensor_specs()(
        name in "[ab]",
        datatype in datatypes(),
        shape in vec(-2..3_i64, 0..3),
    ) -> TensorSpec {
        TensorSpec { name, datatype, shape }
    }
}

prop_compose! {
    fn columns_of()(name in "[ab]", column_type in column_types()) -> Column {
        Column { name, column_type }
    }
}

/// Formats from so few words that equal ones are common.
pub(crate) fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![
        vec(tensor_specs(), 0..3).prop_map(|tensors| Format::Tensors { tensors }),
        vec(columns_of(), 0..3).prop_map(|columns| Format::Table { columns }),
        prop::option::of(0..2_u8)
            .prop_map(|schema| Format::Json { schema: schema.map(serde_json::Value::from) }),
        prop_oneof![Just("image/png"), Just("Image/PNG"), Just("text/csv; header=present")]
            .prop_map(|text| Format::Media { media_type: text.to_owned() }),
    ]
}

proptest! {
    /// Everything equals itself.
    #[test]
    fn equality_is_reflexive(format in formats()) {
        prop_assert_eq!(equal(&format, &format), Ok(()));
    }

    /// The order of the two does not matter, and mismatches are seen from both sides.
    #[test]
    fn equality_is_symmetric(one in formats(), other in formats()) {
        let there = equal(&one, &other).map_err(|mismatches| mismatches.len());
        let back = equal(&other, &one).map_err(|mismatches| mismatches.len());
        prop_assert_eq!(there, back);
    }

    /// What equals a third equals each other.
    #[test]
    fn equality_is_transitive(one in formats(), middle in formats(), other in formats()) {
        if equal(&one, &middle).is_ok() && equal(&middle, &other).is_ok() {
            prop_assert_eq!(equal(&one, &other), Ok(()));
        }
    }

    /// The order of tensors with different names does not matter; the order of columns does.
    #[test]
    fn tensors_go_by_name(mut tensors in vec(tensor_specs(), 0..4)) {
        tensors.sort_by(|one, other| one.name.cmp(&other.name));
        tensors.dedup_by(|one, other| one.name == other.name);
        let left = Format::Tensors { tensors: tensors.clone() };
        tensors.reverse();
        prop_assert_eq!(equal(&left, &Format::Tensors { tensors }), Ok(()));
    }

    /// A chain holds exactly when every joint holds, and shows its two ends.
    #[test]
    fn a_chain_is_its_joints(
        stages in vec((prop::option::of(formats()), prop::option::of(formats())), 1..4),
    ) {
        let holds = stages.windows(2).all(|joint| match (&joint[0].1, &joint[1].0) {
            (Some(gives), Some(takes)) => equal(gives, takes).is_ok(),
            _ => false,
        });
        let ends = (stages[0].0.clone(), stages[stages.len() - 1].1.clone());
        match chain(&stages) {
            Ok(whole) => prop_assert!(holds && whole == ends),
            Err(_) => prop_assert!(!holds),
        }
    }
}

#[test]
fn every_refusal_says_where_and_how() {
    let tensor = |name: &str, datatype, shape: &[i64]| TensorSpec {
        name: name.to_owned(),
        datatype,
        shape: shape.to_vec(),
    };
    let column = |name: &str, column_type| Column { name: name.to_owned(), column_type };
    let float = Format::Tensors { tensors: vec![tensor("x", Datatype::Fp32, &[-1, 4])] };
    let whole = Format::Tensors {
        tensors: vec![tensor("x", Datatype::Int64, &[1, 4]), tensor("y", Datatype::Bool, &[])],
    };
    let short = Format::Table { columns: vec![column("a", ColumnType::Text)] };
    let long = Format::Table {
        columns: vec![column("a", ColumnType::Number), column("b", ColumnType::Text)],
    };
    let other = Format::Table { columns: vec![column("c", ColumnType::Text)] };
    let media = |text: &str| Format::Media { media_type: text.to_owned() };
    let json = Format::Json { schema: None };
    let stage = |input: &Format, output: &Format| (Some(input.clone()), Some(output.clone()));
    let tries = [
        vec![],
        vec![stage(&json, &float), stage(&whole, &json)],
        vec![stage(&json, &json), stage(&json, &short), stage(&long, &json)],
        vec![stage(&json, &short), stage(&other, &json)],
        vec![stage(&json, &media("image/png")), stage(&media("text/csv"), &json)],
        vec![stage(&json, &float), stage(&short, &json)],
        vec![stage(&json, &json), stage(&Format::Json { schema: Some(1.into()) }, &json)],
        vec![(Some(json.clone()), None), stage(&json, &json)],
        vec![stage(&json, &json), (None, Some(json.clone()))],
    ];
    let mut refusals = String::new();
    for stages in tries {
        refusals += &format!("{}\n", chain(&stages).unwrap_err());
    }
    insta::assert_snapshot!(refusals);
}
