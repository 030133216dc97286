/**
 * The messages of etcd's API version 3 that Keyline sends and receives: transactions, and the exchange of
 * a password for a token. Their numbers are those of `rpc.proto` and `kv.proto` in etcd's repository.
 *
 * @module
 */

import { type Bytes, fieldsOf, Writer } from "./protobuf.ts";

/** Where the method for transactions is. */
export const TXN_PATH = "/etcdserverpb.KV/Txn";
/** Where the method is that gives a token for a name and a password. */
export const AUTHENTICATE_PATH = "/etcdserverpb.Auth/Authenticate";

/** Reads a key, or the range from `key` up to, but without, `end`. */
export interface Get {
  /** Tells it from the others. */
  readonly type: "get";
  /** The key, or the first of a range. */
  readonly key: Bytes;
  /** Where the range ends. */
  readonly end?: Bytes;
  /** How many keys to return at most; all where it is left out. */
  readonly limit?: number;
  /** Set to leave the values out. */
  readonly keysOnly?: true;
  /** Set to return only how many keys there are. */
  readonly countOnly?: true;
}

/** Stores a value. */
export interface Put {
  /** Tells it from the others. */
  readonly type: "put";
  /** The key. */
  readonly key: Bytes;
  /** What to store. */
  readonly value: Bytes;
}

/** Removes a key, or the range from `key` up to, but without, `end`. */
export interface Delete {
  /** Tells it from the others. */
  readonly type: "delete";
  /** The key, or the first of a range. */
  readonly key: Bytes;
  /** Where the range ends. */
  readonly end?: Bytes;
}

/** One operation of a transaction. */
export type Op = Get | Put | Delete;

/** Holds where the key was last changed by this revision; 0: where it does not exist. */
export interface Compare {
  /** The key. */
  readonly key: Bytes;
  /** The revision. */
  readonly modRevision: number;
}

/** Carries out `success` where every comparison holds, otherwise `failure`, as one step. */
export interface Txn {
  /** What must hold; nothing where it is left out. */
  readonly compare?: readonly Compare[];
  /** What to do then. */
  readonly success: readonly Op[];
  /** What to do otherwise. */
  readonly failure?: readonly Op[];
}

/** A key with its value, and the revision that changed it last. */
export interface KeyValue {
  /** The key. */
  readonly key: Bytes;
  /** What is stored; nothing where only keys were asked for. */
  readonly value: Bytes;
  /** The revision. */
  readonly modRevision: number;
}

/** What an operation returned: the keys that a Get found, and how many there are in all. */
export interface OpResult {
  /** In the order of their keys. */
  readonly kvs: readonly KeyValue[];
  /** Also those that a limit left out. */
  readonly count: number;
}

/** What a transaction returned. */
export interface TxnResult {
  /** Whether every comparison held. */
  readonly succeeded: boolean;
  /** The revision of the store at this moment; that of the change, where there was one. */
  readonly revision: number;
  /** One for each operation that was carried out. */
  readonly results: readonly OpResult[];
}

const EQUAL = 0;
const MOD_REVISION = 2;
const NO_BYTES: Bytes = new Uint8Array(0);

/** A transaction as bytes. */
export function encodeTxn({ compare = [], success, failure = [] }: Txn): Bytes {
  const writer = new Writer();
  for (const { key, modRevision } of compare) {
    writer.message(1, () => {
      writer.number(1, EQUAL);
      writer.number(2, MOD_REVISION);
      writer.data(3, key);
      writer.number(6, modRevision);
    });
  }
  for (const op of success) writer.message(2, () => writeOp(writer, op));
  for (const op of failure) writer.message(3, () => writeOp(writer, op));
  return writer.bytes;
}

function writeOp(writer: Writer, op: Op): void {
  if (op.type === "get") {
    writer.message(1, () => {
      writer.data(1, op.key);
      if (op.end !== undefined) writer.data(2, op.end);
      if (op.limit !== undefined) writer.number(3, op.limit);
      if (op.keysOnly) writer.number(8, 1);
      if (op.countOnly) writer.number(9, 1);
    });
  } else if (op.type === "put") {
    writer.message(2, () => {
      writer.data(1, op.key);
      writer.data(2, op.value);
    });
  } else {
    writer.message(3, () => {
      writer.data(1, op.key);
      if (op.end !== undefined) writer.data(2, op.end);
    });
  }
}

/** What a transaction returned. */
export function decodeTxn(message: Bytes): TxnResult {
  let succeeded = false;
  let revision = 0;
  const results: OpResult[] = [];
  for (const { field, value, bytes } of fieldsOf(message)) {
    if (field === 1) revision = revisionOf(bytes);
    if (field === 2) succeeded = value === 1;
    if (field === 3) results.push(resultOf(bytes));
  }
  return { succeeded, revision, results };
}

function revisionOf(header: Bytes): number {
  for (const { field, value } of fieldsOf(header)) if (field === 3) return value;
  return 0;
}

function resultOf(message: Bytes): OpResult {
  const kvs: KeyValue[] = [];
  let count = 0;
  for (const { field, bytes } of fieldsOf(message)) {
    if (field !== 1) continue; // What a put or a delete returned is of no use here.
    for (const range of fieldsOf(bytes)) {
      if (range.field === 2) kvs.push(keyValueOf(range.bytes));
      if (range.field === 4) count = range.value;
    }
  }
  return { kvs, count };
}

function keyValueOf(message: Bytes): KeyValue {
  let [key, value, modRevision] = [NO_BYTES, NO_BYTES, 0];
  for (const { field, value: number, bytes } of fieldsOf(message)) {
    if (field === 1) key = bytes;
    if (field === 3) modRevision = number;
    if (field === 5) value = bytes;
  }
  return { key, value, modRevision };
}

/** A name and a password as bytes. */
export function encodeAuthenticate({ user, password }: { user: string; password: string }): Bytes {
  const writer = new Writer();
  const encoder = new TextEncoder();
  writer.data(1, encoder.encode(user));
  writer.data(2, encoder.encode(password));
  return writer.bytes;
}

/** The token that they were exchanged for. */
export function decodeToken(message: Bytes): string {
  for (const { field, bytes } of fieldsOf(message)) {
    if (field === 2) return new TextDecoder().decode(bytes);
  }
  return "";
}
