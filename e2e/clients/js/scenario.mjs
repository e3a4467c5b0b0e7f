// The scenario with the AWS SDK for JavaScript: node scenario.mjs SCENARIO.JSON.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

import * as athena from "@aws-sdk/client-athena";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";

const scenario = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { code, expect, work_group: PRIMARY } = scenario;
const GROUP = "of-js";
const UNKNOWN_SESSION = "00000000-0000-7000-8000-000000000000";
// How long anything may take; only a broken run comes near it.
const LIMIT = 120_000;

const client = new athena.AthenaClient({});
const s3 = new S3Client({});

async function sessions() {
  const sid = await start();
  assert.equal(await awaitSession(sid, "CREATING"), "IDLE");
  assert.equal((await call("GetSession", { SessionId: sid })).EngineVersion, expect.engine);
  ok("session");

  const first = await run(sid, code.stdout);
  assert.equal(first.Status.State, "COMPLETED");
  assert.ok(first.Status.CompletionDateTime instanceof Date);
  assert.equal(await read(first.Result.StdOutS3Uri), expect.stdout);
  ok("stdout");
  assert.equal(await read((await run(sid, code.shared)).Result.StdOutS3Uri), expect.shared);
  ok("shared");

  const failed = await run(sid, code.failure);
  assert.equal(failed.Status.State, "FAILED");
  assert.equal((await read(failed.Result.StdErrorS3Uri)).trim(), expect.failure);
  ok("failure");

  const endless = await submit(sid, code.endless);
  assert.equal((await awaitCalculation(endless, "CREATING")).Status.State, "RUNNING");
  await refused(expect.busy, () => submit(sid, code.shared));
  ok("busy");
  await call("StopCalculationExecution", { CalculationExecutionId: endless });
  const stopped = await awaitCalculation(endless, "CREATING", "RUNNING", "CANCELING");
  assert.equal(stopped.Status.State, "CANCELED");
  assert.equal(await read((await run(sid, code.kept)).Result.StdOutS3Uri), expect.kept);
  ok("stop");

  const firstId = first.CalculationExecutionId;
  const sent = await call("GetCalculationExecutionCode", { CalculationExecutionId: firstId });
  assert.equal(sent.CodeBlock, code.stdout);
  ok("code");

  const token = { ClientRequestToken: randomUUID() };
  const once = await submit(sid, code.shared, token);
  assert.equal(await submit(sid, code.shared, token), once);
  await awaitCalculation(once, "CREATING", "RUNNING");
  await refused("", () => submit(sid, code.kept, token));
  const second = await start(token);
  assert.equal(await start(token), second);
  ok("token");

  const live = await pages("ListSessions", "Sessions", "SessionId", { WorkGroup: PRIMARY });
  assert.deepEqual(live.slice(0, 2), [second, sid]);
  const ran = await pages("ListCalculationExecutions", "Calculations", "CalculationExecutionId", { SessionId: sid });
  assert.deepEqual([ran[0], ran.at(-1), ran.length], [once, firstId, 6]);
  const kinds = await pages("ListExecutors", "ExecutorsSummary", "ExecutorType", { SessionId: sid });
  assert.deepEqual(kinds.sort(), ["COORDINATOR", "GATEWAY"]);
  ok("paging");

  await refused("", () => call("GetSessionStatus", { SessionId: UNKNOWN_SESSION }));
  ok("unknown");

  for (const ending of [second, sid]) {
    await terminate(ending);
    await call("TerminateSession", { SessionId: ending });
  }
  ok("terminate");
}

async function workGroups() {
  const place = "s3://of-js/here";
  await call("CreateWorkGroup", {
    Name: GROUP,
    Description: "made by js",
    Configuration: {
      ResultConfiguration: { OutputLocation: place },
      EngineVersion: { SelectedEngineVersion: expect.engine },
    },
    Tags: [{ Key: "made", Value: "true" }],
  });
  const got = (await call("GetWorkGroup", { WorkGroup: GROUP })).WorkGroup;
  assert.deepEqual([got.Description, got.State], ["made by js", "ENABLED"]);
  assert.equal(got.Configuration.ResultConfiguration.OutputLocation, place);
  const names = await pages("ListWorkGroups", "WorkGroups", "Name", {});
  assert.ok(names.includes(GROUP) && names.includes(PRIMARY), names);

  const sid = await start({ WorkGroup: GROUP });
  assert.equal(await awaitSession(sid, "CREATING"), "IDLE");
  const uri = (await run(sid, "print(1)")).Result.StdOutS3Uri;
  assert.ok(uri.startsWith(place + "/"), uri);
  assert.equal(await read(uri), "1\n");
  await terminate(sid);
  ok("work_groups");
}

async function changeWorkGroup() {
  await call("UpdateWorkGroup", { WorkGroup: GROUP, Description: "changed by js", State: "DISABLED" });
  const got = (await call("GetWorkGroup", { WorkGroup: GROUP })).WorkGroup;
  assert.deepEqual([got.Description, got.State], ["changed by js", "DISABLED"]);

  const ResourceARN = `arn:aws:athena:${await client.config.region()}:000000000000:workgroup/${GROUP}`;
  await call("TagResource", { ResourceARN, Tags: [{ Key: "team", Value: "data" }] });
  assert.deepEqual(await tags(ResourceARN), ["made=true", "team=data"]);
  await call("UntagResource", { ResourceARN, TagKeys: ["made"] });
  assert.deepEqual(await tags(ResourceARN), ["team=data"]);

  const engines = (await call("ListEngineVersions", {})).EngineVersions.map((e) => e.SelectedEngineVersion);
  assert.ok(engines.includes(expect.engine), engines);

  await call("DeleteWorkGroup", { WorkGroup: GROUP, RecursiveDeleteOption: true });
  await refused("is not found", () => call("GetWorkGroup", { WorkGroup: GROUP }));
  ok("change_work_group");
}

const tags = async (ResourceARN) =>
  (await call("ListTagsForResource", { ResourceARN })).Tags.map((t) => `${t.Key}=${t.Value}`).sort();

const call = (operation, input) => client.send(new athena[`${operation}Command`](input));

async function start(more = {}) {
  const size = { EngineConfiguration: { MaxConcurrentDpus: 2 } };
  return (await call("StartSession", { WorkGroup: PRIMARY, ...size, ...more })).SessionId;
}

async function terminate(sid) {
  await call("TerminateSession", { SessionId: sid });
  assert.equal(await awaitSession(sid, "TERMINATING"), "TERMINATED");
}

async function submit(sid, block, more = {}) {
  return (await call("StartCalculationExecution", { SessionId: sid, CodeBlock: block, ...more })).CalculationExecutionId;
}

const run = async (sid, block) => awaitCalculation(await submit(sid, block), "CREATING", "RUNNING");

const awaitSession = (sid, ...leave) =>
  until(async () => {
    const { State } = (await call("GetSessionStatus", { SessionId: sid })).Status;
    return leave.includes(State) ? undefined : State;
  });

const awaitCalculation = (cid, ...leave) =>
  until(async () => {
    const got = await call("GetCalculationExecution", { CalculationExecutionId: cid });
    return leave.includes(got.Status.State) ? undefined : got;
  });

async function read(uri) {
  const { hostname, pathname } = new URL(uri);
  const got = await s3.send(new GetObjectCommand({ Bucket: hostname, Key: pathname.slice(1) }));
  return got.Body.transformToString();
}

// List one by one, as a client without a paginator does.
async function pages(operation, member, name, input) {
  const found = [];
  let NextToken;
  do {
    const page = await call(operation, { ...input, MaxResults: 1, NextToken });
    assert.ok(page[member].length <= 1, page);
    found.push(...page[member].map((entry) => entry[name]));
    NextToken = page.NextToken;
  } while (NextToken);
  assert.equal(new Set(found).size, found.length);
  return found;
}

// See that the call throws the SDK's own class of the error, with the words in it.
async function refused(words, promised) {
  await assert.rejects(promised, (e) => {
    assert.ok(e instanceof athena.InvalidRequestException, e);
    assert.ok(e.message.includes(words), e.message);
    return true;
  });
}

async function until(look) {
  for (const end = Date.now() + LIMIT; Date.now() < end; await sleep(200)) {
    const got = await look();
    if (got !== undefined) return got;
  }
  assert.fail(`nothing within ${LIMIT} ms`);
}

const ok = (step) => console.log("ok", step);

const { version } = createRequire(import.meta.url)("@aws-sdk/client-athena/package.json");
console.log("version", "@aws-sdk/client-athena", version);
await sessions();
await workGroups();
await changeWorkGroup();
