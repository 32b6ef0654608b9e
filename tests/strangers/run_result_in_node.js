// What was an agent run worth? As one writes it in JavaScript: the log is read at once, as text.
"use strict";
const fs = require("fs");

const DONE = 0, FAILED = 67, AUTH_LOST = 68;
const MARKERS = [/\bnot logged in\b/i, /(^|\s)\/login\b/i, /\bunauthorized\b/i, /\b401\b/];

function logText(path) {
    try {
        // A FIFO would keep us waiting.
        return fs.statSync(path).isFile() ? fs.readFileSync(path, "utf8") : "";
    } catch {
        return "";
    }
}

function lastResult(lines) {
    for (const line of lines.reverse()) {
        if (!line.trimStart().startsWith("{")) continue;
        try {
            const message = JSON.parse(line);
            if (message.type === "result") return message;
        } catch {
            // not JSON, or cut short
        }
    }
    return null;
}

const text = logText(process.env.ORCH_RUN_LOG || "");
if (Number(process.env.ORCH_RUN_EXIT_CODE || NaN) === 0) {
    const result = lastResult(text.split("\n"));
    if (result && result.is_error !== true) process.exit(DONE);
}
process.exit(MARKERS.some((marker) => marker.test(text)) ? AUTH_LOST : FAILED);
