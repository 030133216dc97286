/**
 * The messages of etcd's API version 3 that Keyline sends and receives: transactions, compactions, and the
 * exchange of a password for a token. protobufjs writes and reads them; the rest of Keyline sees plain
 * objects.
 *
 * @module
 */

import protobuf from "npm:protobufjs@7.6.6";
import type { Method } from "./grpc.ts";

/** Bytes in memory that is not shared. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** The fields that Keyline uses, with the names and numbers of `rpc.proto` and `kv.proto` of etcd. */
const { root } = protobuf.parse(`
  syntax = "proto3";

  message TxnRequest {
    repeated Compare compare = 1;
    repeated RequestOp success = 2;
    repeated RequestOp failure = 3;
  }
  message Compare {
    enum CompareResult { EQUAL = 0; GREATER = 1; }
    enum CompareTarget { VERSION = 0; MOD = 2; VALUE = 3; }
    CompareResult result = 1;
    CompareTarget target = 2;
    bytes key = 3;
    int64 mod_revision = 6;
    bytes value = 7;
    bytes range_end = 64;
  }
  message RequestOp {
    RangeRequest request_range = 1;
    PutRequest request_put = 2;
    DeleteRangeRequest request_delete_range = 3;
  }
  message RangeRequest {
    bytes key = 1;
    bytes range_end = 2;
    int64 limit = 3;
    bool keys_only = 8;
    bool count_only = 9;
  }
  message PutRequest {
    bytes key = 1;
    bytes value = 2;
  }
  message DeleteRangeRequest {
    bytes key = 1;
    bytes range_end = 2;
  }

  message TxnResponse {
    ResponseHeader header = 1;
    bool succeeded = 2;
    repeated ResponseOp responses = 3;
  }
  message ResponseHeader {
    int64 revision = 3;
  }
  message ResponseOp {
    RangeResponse response_range = 1;
  }
  message RangeResponse {
    repeated KeyValue kvs = 2;
    int64 count = 4;
  }
  message KeyValue {
    bytes key = 1;
    int64 mod_revision = 3;
    bytes value = 5;
  }

  message CompactionRequest {
    int64 revision = 1;
  }

  message AuthenticateRequest {
    string name = 1;
    string password = 2;
  }
  message AuthenticateResponse {
    string token = 2;
  }
`);

/** Reads a key, or the range from `key` up to, but without, `end`. */
export interface Get {
  /** Tells it from the others. */
  readonly type: "get";
  /** The key, or the first of a range. */
  readonly key: Bytes;
  /** Where the range ends. */
  readonly end?: Bytes;
  /** How many keys to return at most; all by default. */
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

/** A condition on a key. A restored engine repeats revisions, but no random value. */
export type Compare =
  & {
    /** The key, or the first of a range. */
    readonly key: Bytes;
  }
  & (
    | {
      /** Where the range ends. */
      readonly end?: Bytes;
      /** Whether there is such a key; in a range, whether there is any. */
      readonly isThere: boolean;
    }
    | {
      /** The revision that changed it last; 0: it does not exist. */
      readonly modRevision: number;
    }
    | {
      /** What is stored. */
      readonly value: Bytes;
    }
  );

/** Carries out `success` if every comparison holds, otherwise `failure`, as one step. */
export interface Txn {
  /** What must hold; nothing by default. */
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
  /** What is stored; nothing if only keys were asked for. */
  readonly value: Bytes;
  /** The revision. */
  readonly modRevision: number;
}

/** What an operation returned: the keys that a Get found, and how many there are in all. */
export interface OpResult {
  /** In the order of their keys. */
  readonly kvs: readonly KeyValue[];
  /** Including those that a limit left out. */
  readonly count: number;
}

/** What a transaction returned. */
export interface TxnResult {
  /** Whether every comparison held. */
  readonly succeeded: boolean;
  /** The revision of the store at this moment; that of the change, if there was one. */
  readonly revision: number;
  /** One for each operation that was carried out. */
  readonly results: readonly OpResult[];
}

const TXN_REQUEST = root.lookupType("TxnRequest");
const TXN_RESPONSE = root.lookupType("TxnResponse");
const COMPACTION_REQUEST = root.lookupType("CompactionRequest");
const AUTHENTICATE_REQUEST = root.lookupType("AuthenticateRequest");
const AUTHENTICATE_RESPONSE = root.lookupType("AuthenticateResponse");
/** What a comparison looks at, and how: see `CompareTarget` and `CompareResult`. */
const [MOD, VALUE, GREATER] = [2, 3, 1];

/** Carries out a transaction. */
export const TXN: Method<Txn, TxnResult> = {
  path: "/etcdserverpb.KV/Txn",
  encode({ compare = [], success, failure = [] }) {
    return TXN_REQUEST.encode({
      compare: compare.map(comparisonOf),
      success: success.map(requestOf),
      failure: failure.map(requestOf),
    }).finish();
  },
  decode(message) {
    const { header, succeeded, responses } = decoded<TxnResponse>(TXN_RESPONSE, message);
    return {
      succeeded,
      revision: header === null ? 0 : header.revision.toNumber(),
      results: responses.map(({ responseRange }) => resultOf(responseRange)),
    };
  },
};

/** Forgets what all keys held before a revision. It applies to the whole engine. */
export const COMPACT: Method<{ revision: number }, void> = {
  path: "/etcdserverpb.KV/Compact",
  encode: (request) => COMPACTION_REQUEST.encode(request).finish(),
  decode() {},
};

/** Exchanges a name and a password for a token. */
export const AUTHENTICATE: Method<{ name: string; password: string }, string> = {
  path: "/etcdserverpb.Auth/Authenticate",
  encode: (login) => AUTHENTICATE_REQUEST.encode(login).finish(),
  decode: (message) => decoded<{ token: string }>(AUTHENTICATE_RESPONSE, message).token,
};

function comparisonOf(compare: Compare): Record<string, unknown> {
  const { key } = compare;
  if ("value" in compare) return { key, target: VALUE, value: compare.value };
  if ("modRevision" in compare) return { key, target: MOD, modRevision: compare.modRevision };
  // What does not exist has the revision 0.
  const result = compare.isThere ? { result: GREATER } : {};
  return { key, rangeEnd: compare.end, target: MOD, modRevision: 0, ...result };
}

function requestOf(op: Op): Record<string, unknown> {
  if (op.type === "put") return { requestPut: op };
  if (op.type === "delete") return { requestDeleteRange: { key: op.key, rangeEnd: op.end } };
  return { requestRange: { ...op, rangeEnd: op.end } };
}

/** What the library makes of a TxnResponse. */
interface TxnResponse {
  readonly header: { readonly revision: Int64 } | null;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly responseRange: RangeResponse | null }[];
}

interface RangeResponse {
  readonly kvs: readonly {
    readonly key: Bytes;
    readonly value: Bytes;
    readonly modRevision: Int64;
  }[];
  readonly count: Int64;
}

/** A number of 64 bits. None of etcd's reaches 2^53. */
interface Int64 {
  toNumber(): number;
}

/** A message as its fields; one that etcd left out has its default. */
function decoded<Fields>(type: protobuf.Type, message: Bytes): Fields {
  return type.decode(message) as unknown as Fields;
}

/** The library's default for bytes that were left out is an Array. */
const NO_BYTES = new Uint8Array(0);

/** The result of a put or a delete is not needed here. */
function resultOf(range: RangeResponse | null): OpResult {
  if (range === null) return { kvs: [], count: 0 };
  const kvs = range.kvs.map(({ key, value, modRevision }) => ({
    key,
    value: value.length === 0 ? NO_BYTES : value,
    modRevision: modRevision.toNumber(),
  }));
  return { kvs, count: range.count.toNumber() };
}
