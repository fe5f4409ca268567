// What runs tell of themselves, by the API's description.

import type { Schema } from "../api/client";

export type Times = Schema<"Times">;
export type Accuracy = Schema<"Accuracy">;
export type VariantOutcome = Schema<"VariantOutcome">;
export type Pairs = Schema<"Pairs">;
export type RunProgress = Schema<"RunProgress">;
export type RunOutcome = Schema<"RunOutcome">;
export type RunRecord = Schema<"RunRecord">;
export type RunRecords = Schema<"RunRecords">;
export type RunSeries = Schema<"RunSeries">;
export type SeriesPoint = Schema<"SeriesPoint">;
