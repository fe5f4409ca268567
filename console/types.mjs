// Writes `src/api/schema.ts`: the types of the API, from its description.
//
// Operations there share their ids ("list", "fetch"), which would make one type of many: the ids
// are left out, so that each path has types of its own.

import { readFile, writeFile } from "node:fs/promises";
import openapi, { astToString } from "openapi-typescript";

const description = JSON.parse(
  await readFile(new URL("../api/openapi.json", import.meta.url), "utf8"),
);
for (const path of Object.values(description.paths)) {
  for (const operation of Object.values(path)) delete operation.operationId;
}
const told = "// Written by types.mjs from api/openapi.json: change nothing here.\n\n";
await writeFile(
  new URL("src/api/schema.ts", import.meta.url),
  told + astToString(await openapi(description)),
);
