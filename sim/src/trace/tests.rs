use super::*;

const CALLS: &str = "\
HashOwner,HashApp,HashFunction,Trigger,1,2,3
o,a,f,http,0,2,
o,a,g,timer,1,1,1
";

fn trace() -> Trace {
    Trace::read(CALLS).unwrap()
}

#[test]
fn calls_are_read_by_minute() {
    let trace = trace();
    assert_eq!(trace.length(), 3);
    assert_eq!(trace.functions[0].name, "o,a,f");
    assert_eq!(trace.functions[0].calls, [0, 2, 0]);
    assert_eq!(trace.minutes(1..3).functions[1].calls, [1, 1]);
}

#[test]
fn durations_and_memory_join_by_name() {
    let mut trace = trace();
    let heads: Vec<&str> = PERCENTILES.iter().map(|(_, column)| *column).collect();
    let durations = format!(
        "HashOwner,HashApp,HashFunction,{}\no,a,g,0,1,20,10.5,30,40,100\n",
        heads.join(",")
    );
    trace.tell_durations(&durations).unwrap();
    assert_eq!(trace.functions[0].durations, Durations::always(DURATION_MS));
    // What falls is taken for level, and parts of a millisecond for a whole one.
    assert_eq!(trace.functions[1].durations.ms, [0, 1, 20, 20, 30, 40, 100]);
    let memory = "HashFunction,HashOwner,HashApp,AverageAllocatedMb\ng,o,a,0.5\n";
    trace.tell_memory(memory).unwrap();
    assert_eq!(trace.functions[1].memory_kib, 512);
    assert_eq!(trace.functions[0].memory_kib, MEMORY_KIB);
}

#[test]
fn a_duration_lies_between_its_percentiles() {
    let durations = Durations { ms: [0, 1, 20, 20, 30, 40, 100] };
    assert_eq!(durations.at(0), 0);
    assert_eq!(durations.at(u32::MAX / 2), 20);
    assert_eq!(durations.at(u32::MAX / 8 * 7), 35);
    assert_eq!(durations.at(u32::MAX), 99);
    let mut before = 0;
    for step in 0..1_000 {
        let here = durations.at(step * (u32::MAX / 1_000));
        assert!(here >= before);
        before = here;
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let told = |text: &str| Trace::read(text).unwrap_err().to_string();
    assert_eq!(told(""), "it has no line with the names of columns");
    assert_eq!(told("HashOwner,HashApp,1\n"), "it has no column \"HashFunction\"");
    assert_eq!(told("HashOwner,HashApp,HashFunction\n"), "it has no column \"1 (a minute)\"");
    let line = |line: &str| told(&format!("{CALLS}{line}\n"));
    assert_eq!(line("o,a,h,http,0"), "line 4 has 5 values where 7 columns are named");
    assert_eq!(
        line("o,a,h,http,0,-1,0"),
        "line 4: \"-1\" in column \"2\" is no number from 0, or too large"
    );
    assert_eq!(line("o,a,f,http,0,0,0"), "line 4 names a function that came before");
    let mut trace = trace();
    let memory =
        |value: &str| format!("HashOwner,HashApp,HashFunction,AverageAllocatedMb\no,a,g,{value}\n");
    for value in ["", ".", ".5", "-1", "1e", "1.x", "99999999999999999999"] {
        let wrong = trace.tell_memory(&memory(value)).unwrap_err();
        assert!(
            matches!(wrong, Error::Number { line: 2, .. }) || value == "1.",
            "{value}: {wrong}"
        );
    }
    let foreign = "HashOwner,HashApp,HashFunction,AverageAllocatedMb\nx,y,z,1\n";
    assert_eq!(trace.tell_memory(foreign), Err(Error::Foreign));
}

#[test]
fn single_calls_count_in_the_minute_in_which_they_began() {
    let text = "app,func,end_timestamp,duration\na,f,61.5,1.2\na,g,59.9,0.25\na,f,61.5,2.0\n";
    let trace = Trace::read(text).unwrap();
    assert_eq!(trace.functions[0].name, "a,f");
    assert_eq!(trace.functions[0].calls, [1, 1]);
    assert_eq!(trace.functions[1].calls, [1, 0]);
    assert_eq!(trace.functions[1].durations, Durations::always(250));
    assert_eq!(trace.functions[0].durations.at(0), 1_200);
    let told = |line: &str| {
        let text = format!("app,func,end_timestamp,duration\n{line}\n");
        Trace::read(&text).unwrap_err().to_string()
    };
    assert_eq!(
        told("a,f,99999999,1"),
        "line 2 is of a call later than 89280 minutes: times count from 0"
    );
    assert_eq!(
        told("a,f,soon,1"),
        "line 2: \"soon\" in column \"end_timestamp\" is no number from 0, or too large"
    );
}

#[test]
fn numbers_are_read_as_programs_write_them() {
    let read = |duration: &str| {
        let text = format!("\u{feff}app,func,end_timestamp,duration\r\na,f,100,{duration}\r\n");
        Trace::read(&text).map(|trace| trace.functions[0].durations.at(0))
    };
    for (text, ms) in [
        ("2", 2_000),
        ("0.25", 250),
        ("57.15786004066467", 57_157),
        ("9.5367431640625e-07", 0),
        ("1.2345e1", 12_345),
        ("12e-1", 1_200),
        ("2E+1", 20_000),
        ("1e-400", 0),
    ] {
        assert_eq!(read(text).unwrap(), ms, "{text}");
    }
    for text in ["1.234x", "1.", ".5", "1e", "1e1.5", "1e99", "1e-401", "-1", "nan", "inf", "0x1"] {
        assert!(matches!(read(text), Err(Error::Number { .. })), "{text}");
    }
}
