// The console: begins it in the page.

import { render } from "preact";

import "./style/index.css";
import "./style/shell.css";
import "./style/parts.css";
import "./style/chart.css";
import { Console } from "./console";

const place = document.getElementById("console");
if (place) render(<Console />, place);
