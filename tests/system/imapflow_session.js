// A session of imapflow (npm), with all that it uses by itself: ENABLE, COMPRESS, IDLE, QRESYNC. Prints JSON.
// node imapflow_session.js PORT tls|plain LOGIN PASSWORD FOLDER
"use strict";
const { ImapFlow } = require("imapflow");
const [port, kind, user, pass, folder] = process.argv.slice(2);
BigInt.prototype.toJSON = function () { return Number(this); };

function client(qresync) {
  return new ImapFlow({ host: "127.0.0.1", port: Number(port), secure: kind === "tls", doSTARTTLS: false,
    tls: { rejectUnauthorized: false }, auth: { user, pass }, qresync, logger: false });
}

function letter(number) {
  return `From: a@b.test\r\nSubject: n${number}\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nhello\r\n` +
    "--q\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--q--\r\n";
}

async function until(condition) {
  for (let tries = 0; tries < 300 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 100));
}

async function main() {
  const said = {}, one = client(true), two = client(false);
  await one.connect();
  await two.connect();
  said.enabled = [...one.enabled];
  said.created = (await one.mailboxCreate(folder)).created;
  for (let n = 1; n <= 5; n++) await one.append(folder, letter(n), n % 2 ? ["\\Seen"] : [], new Date("2020-01-01"));
  const lock = await one.getMailboxLock(folder);
  said.messages = [];
  for await (const m of one.fetch("1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, threadId: true }))
    said.messages.push([m.seq, m.uid, m.envelope.subject, [...m.flags], m.bodyStructure.childNodes.length, !!m.emailId]);
  const chunks = [];
  for await (const chunk of (await one.download("2", "2")).content) chunks.push(chunk);
  said.attachment = Buffer.concat(chunks).toString("hex");
  said.search = [await one.search({ subject: "n3" }), await one.search({ seen: false }, { uid: true })];
  said.copied = [...(await one.messageCopy("1:2", folder)).uidMap];
  const { highestModseq, uidValidity } = one.mailbox;
  const events = [];
  one.on("exists", (e) => events.push(`exists ${e.count}`));
  one.on("flags", (e) => events.push(`flags ${e.uid} ${[...e.flags]}`));
  one.on("expunge", (e) => events.push(`vanished ${e.uid}`));
  const idling = one.idle();
  const other = await two.getMailboxLock(folder);
  await two.append(folder, letter(9));
  await two.messageFlagsAdd("1", ["\\Answered"]);
  await two.messageDelete("2");
  other.release();
  await until(() => events.some((e) => e.startsWith("vanished")));
  said.events = events;
  lock.release();
  await one.logout();
  await idling;
  await two.logout();
  const three = client(true), back = [];
  await three.connect();
  three.on("expunge", (e) => back.push(`vanished ${e.uid}`));
  three.on("flags", (e) => back.push(`flags ${e.uid}`));
  await three.mailboxOpen(folder, { changedSince: highestModseq, uidValidity });
  said.resynchronised = back;
  await three.mailboxClose();
  said.deleted = (await three.mailboxDelete(folder)).path === folder;
  await three.logout();
  console.log(JSON.stringify(said));
}

main().catch((error) => { console.error(error); process.exit(1); });
