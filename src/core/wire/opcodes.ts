/**
 * Operation codes, special xids and the other small enumerations of the client port.
 * client-protocol 3.2, 4.1, 4.4, 7.
 */
export const OpCode = {
  Notification: 0,
  Create: 1,
  Delete: 2,
  Exists: 3,
  GetData: 4,
  SetData: 5,
  GetAcl: 6,
  SetAcl: 7,
  GetChildren: 8,
  Sync: 9,
  Ping: 11,
  GetChildren2: 12,
  Check: 13,
  Multi: 14,
  Create2: 15,
  Reconfig: 16,
  CheckWatches: 17,
  RemoveWatches: 18,
  CreateContainer: 19,
  DeleteContainer: 20,
  CreateTtl: 21,
  MultiRead: 22,
  Auth: 100,
  SetWatches: 101,
  Sasl: 102,
  GetEphemerals: 103,
  GetAllChildrenNumber: 104,
  SetWatches2: 105,
  AddWatch: 106,
  WhoAmI: 107,
  CreateSession: -10,
  CloseSession: -11,
  Error: -1,
} as const;
export type OpCode = (typeof OpCode)[keyof typeof OpCode];

const nameByCode = new Map<number, string>(
  Object.entries(OpCode).map(([name, code]) => [code, name.charAt(0).toLowerCase() + name.slice(1)]),
);

export function opName(op: number): string {
  return nameByCode.get(op) ?? `op ${op}`;
}

export const Xid = { Notification: -1, Ping: -2, Auth: -4, SetWatches: -8 } as const;

export const Perm = { Read: 1, Write: 2, Create: 4, Delete: 8, Admin: 16, All: 31 } as const;

export const CreateMode = {
  Persistent: 0,
  Ephemeral: 1,
  PersistentSequential: 2,
  EphemeralSequential: 3,
  Container: 4,
  PersistentTtl: 5,
  PersistentSequentialTtl: 6,
} as const;

export const EventType = {
  NodeCreated: 1,
  NodeDeleted: 2,
  NodeDataChanged: 3,
  NodeChildrenChanged: 4,
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

/** The only state that a server ever sends. */
export const eventStateSyncConnected = 3;

export const AddWatchMode = { Persistent: 0, PersistentRecursive: 1 } as const;
export const WatcherType = { Children: 1, Data: 2, Any: 3, Persistent: 4, PersistentRecursive: 5 } as const;
