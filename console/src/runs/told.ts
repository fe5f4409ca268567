// What runs tell of themselves. The API's description says of `progress` and `outcome` only that
// they are objects, and does not have what gateways answer: this is what `api/src/runs.rs` says.

/** How times are distributed, in nanoseconds; 0 where there are none. */
export interface Times {
  readonly count: number;
  readonly mean_ns: number;
  readonly p50_ns: number;
  readonly p90_ns: number;
  readonly p99_ns: number;
  readonly p999_ns: number;
  readonly max_ns: number;
  readonly p99_upper_ns?: number;
  readonly p99_needs?: number;
}

/** Predictions held against labels. */
export interface Accuracy {
  readonly true_positives: number;
  readonly false_positives: number;
  readonly true_negatives: number;
  readonly false_negatives: number;
  readonly unlabelled: number;
  readonly unread: number;
  readonly unanswered: number;
}

/** What a variant came to. */
export interface VariantOutcome {
  readonly name: string;
  readonly under_way: number;
  readonly recorded: number;
  readonly sent: number;
  readonly answered: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly lag: Times;
  readonly response: Times;
  readonly latency: Times;
  readonly service: Times;
  readonly bytes_out: number;
  readonly bytes_in: number;
  readonly accuracy: Accuracy;
}

/** The same events answered by two variants. */
export interface Pairs {
  readonly same: number;
  readonly differ: number;
  readonly both_right: number;
  readonly first_right: number;
  readonly other_right: number;
  readonly both_wrong: number;
  readonly left_out: number;
}

/** How far a run is. */
export interface RunProgress {
  readonly stage?: string;
  readonly issued: number;
  readonly variants: readonly VariantOutcome[];
  readonly pairs: readonly Pairs[];
}

/** What a run came to. */
export interface RunOutcome {
  readonly valid: boolean;
  readonly reasons: readonly string[];
  readonly disclosed: readonly string[];
  readonly schedule: {
    readonly seed?: number;
    readonly digest: string;
    readonly sends: number;
    readonly events: number;
    readonly omitted: number;
    readonly duplicates: number;
    readonly disordered: number;
  };
  readonly facts: {
    readonly asked: number;
    readonly asked_ns: number;
    readonly sent: number;
    readonly took_ns: number;
    readonly skipped: number;
    readonly dropped: number;
    readonly lost: number;
    readonly lag_p99_ns: number;
    readonly events: number;
    readonly busy_milli: number;
  };
  readonly variants: readonly VariantOutcome[];
  readonly pairs: readonly Pairs[];
}

/** One request of a run. */
export interface RunRecord {
  readonly sequence: number;
  readonly copy: number;
  readonly variant: string;
  readonly region?: string;
  readonly group?: string;
  readonly offset_ns: number;
  readonly lag_ns?: number;
  readonly response_ns?: number;
  readonly latency_ns?: number;
  readonly service_us?: number;
  readonly status?: number;
  readonly outcome: string;
  readonly score?: number;
  readonly class?: string;
  readonly label?: string;
}

/** Records, and how many there are in all. */
export interface RunRecords {
  readonly records: readonly RunRecord[];
  readonly matching: number;
}
