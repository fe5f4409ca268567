//! The log of sagas, as `workflow` needs it.

use serde_json::json;

use store::sagas::{
    saga_find, saga_insert, saga_save, sagas_list_about, sagas_list_open, sagas_prune,
};
use types::SagaId;
use workflow::saga::{Log, Phase, Problem, Record};

use crate::harness::{House, uuid};

both! {
    /// A record comes back as it was stored, in every phase.
    records_come_back;
    /// A save lands only on the generation just before its own: one of many.
    a_save_lands_on_its_generation;
    /// Due records come in the order of their time, and ended ones never.
    due_records_come_in_order;
}

fn record(number: u128) -> Record {
    Record {
        id: SagaId::new(uuid(number)),
        kind: "publish".to_owned(),
        subject: "pub-1".to_owned(),
        state: json!({"step": "one", "text": "ä\u{0}"}),
        step: 0,
        phase: Phase::Forward,
        attempts: 0,
        started_at_ms: 5,
        due_at_ms: 5,
        owner: None,
        error: None,
        generation: 0,
    }
}

async fn records_come_back(house: House) {
    let mut row = record(1);
    write!(house.store, saga_insert(&row)).unwrap();
    assert_eq!(read!(house.store, saga_find(row.id)).unwrap(), Some(row.clone()));
    for phase in Phase::ALL {
        row.generation += 1;
        row.phase = phase;
        row.step += 1;
        row.attempts += 1;
        row.owner = Some("driver-1".to_owned());
        row.error = Some(Problem {
            code: "no_room".to_owned(),
            message: "it's full".to_owned(),
            step: "place".to_owned(),
            undo: None,
        });
        row.state = json!({"phase": phase.as_str()});
        assert!(house.store.save(&row).await.unwrap());
        assert_eq!(Log::fetch(&house.store, row.id).await.unwrap(), Some(row.clone()));
    }
    assert_eq!(Log::fetch(&house.store, SagaId::new(uuid(9))).await.unwrap(), None);
    assert_eq!(read!(house.store, sagas_list_about("pub-1")).unwrap(), [row]);
}

async fn a_save_lands_on_its_generation(house: House) {
    write!(house.store, saga_insert(&record(1))).unwrap();
    let save = async |step| house.store.save(&Record { step, generation: 1, ..record(1) }).await;
    let saved = futures::future::join_all((1..=6).map(save)).await;
    let landed: Vec<usize> = (0..6).filter(|at| *saved[*at].as_ref().unwrap()).collect();
    assert_eq!(landed.len(), 1);
    let stored = read!(house.store, saga_find(record(1).id)).unwrap().unwrap();
    assert_eq!(stored.step as usize, landed[0] + 1);
    for generation in [0, 1, 3] {
        let row = Record { generation, ..record(1) };
        assert!(!write!(house.store, saga_save(&row)).unwrap());
    }
}

async fn due_records_come_in_order(house: House) {
    let rows = [
        Record { due_at_ms: 30, ..record(1) },
        Record { due_at_ms: 10, phase: Phase::Undoing, owner: Some("me".into()), ..record(2) },
        Record { due_at_ms: 20, phase: Phase::Stuck, ..record(3) },
        Record { due_at_ms: 10, phase: Phase::Done, owner: Some("me".into()), ..record(4) },
        Record { due_at_ms: 10, phase: Phase::Undone, ..record(5) },
    ];
    for row in &rows {
        write!(house.store, saga_insert(row)).unwrap();
    }
    let due = async |now_ms, limit| house.store.due(now_ms, limit).await.unwrap();
    assert_eq!(due(30, 9).await, [rows[1].clone(), rows[2].clone(), rows[0].clone()]);
    assert_eq!(due(29, 9).await, [rows[1].clone(), rows[2].clone()]);
    assert_eq!(due(30, 1).await, [rows[1].clone()]);
    assert_eq!(house.store.owned("me").await.unwrap(), [rows[1].clone()]);
    assert_eq!(read!(house.store, sagas_list_open(9)).unwrap().len(), 3);
    assert_eq!(write!(house.store, sagas_prune(10)).unwrap(), 0);
    assert_eq!(write!(house.store, sagas_prune(11)).unwrap(), 2);
    assert_eq!(due(99, 9).await.len(), 3);
}
