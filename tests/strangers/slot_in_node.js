#!/usr/bin/env node
// A start-up probe as somebody writes it in JavaScript who knows the contract `slot` and nothing else
// of the suite.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const READY = 0;
const CLI_BROKEN = 64;
const CREDS_MISSING = 65;
const CREDS_INVALID = 66;
const BASELINE = ['CLAUDE.md', 'config.toml', 'settings.json'];
const ABSENT = ['ENOENT', 'ENOTDIR'];

function cliRuns(agent) {
  const done = spawnSync(agent, ['--version'], { stdio: 'ignore', timeout: 10_000, killSignal: 'SIGKILL' });
  return !done.error && done.status === 0;
}

function claude(home) {
  const top = Buffer.from(path.join(home, '.claude'));
  let closed = false;
  const directories = [top];
  while (directories.length) {
    const directory = directories.pop();
    let entries;
    try {
      // Names are bytes: what is no UTF-8 would come back as another name.
      entries = fs.readdirSync(directory, { withFileTypes: true, encoding: 'buffer' });
      fs.accessSync(directory, fs.constants.X_OK);
    } catch (error) {
      if (directory === top && [...ABSENT, 'ELOOP'].includes(error.code)) return CREDS_MISSING;
      closed = true;
      continue;
    }
    for (const entry of entries) {
      if (entry.isDirectory()) directories.push(Buffer.concat([directory, Buffer.from('/'), entry.name]));
      if (entry.isFile() && !(directory === top && BASELINE.includes(entry.name.toString()))) return READY;
    }
  }
  return closed ? CREDS_INVALID : CREDS_MISSING;
}

function codex(home) {
  const auth = path.join(home, '.codex', 'auth.json');
  try {
    if (!fs.statSync(auth).isFile()) return CREDS_INVALID;
    // readFileSync(auth, 'utf8') would put another character in the place of bytes that are no text.
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(fs.readFileSync(auth)));
    return READY;
  } catch (error) {
    return ABSENT.includes(error.code) ? CREDS_MISSING : CREDS_INVALID;
  }
}

function main() {
  const agent = process.env.WOVED_TASK_AGENT;
  if (!['claude', 'codex'].includes(agent) || !cliRuns(agent)) return CLI_BROKEN;
  const home = process.env.HOME;
  if (!home) return CREDS_MISSING;
  return agent === 'claude' ? claude(home) : codex(home);
}

process.exitCode = main();
