// Writes `src/api/schema.ts`: the types of the API, from its description.

import { readFile, writeFile } from "node:fs/promises";
import openapi, { astToString } from "openapi-typescript";

const description = JSON.parse(
  await readFile(new URL("../api/openapi.json", import.meta.url), "utf8"),
);
const told = "// Written by types.mjs from api/openapi.json: change nothing here.\n\n";
await writeFile(
  new URL("src/api/schema.ts", import.meta.url),
  told + astToString(await openapi(description)),
);
