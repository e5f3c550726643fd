import type { Principal } from "../../core/access/access.ts";
import type { AddressSet } from "../net/address-set.ts";
import { ipOf } from "./addresses.ts";
import { type Attempt, type LoginModule, refused, type Verdict } from "./attempt.ts";

/** Lists of addresses as they are now; `allow` without any is no list. */
export interface AddressLists {
  readonly allow: readonly AddressSet[];
  readonly deny: readonly AddressSet[];
}

/** Refuses by where clients come from. Lets nobody in by itself, as Apollo's SocketAddressLoginModule. */
export class SourceAddressModule implements LoginModule {
  private readonly lists: () => AddressLists;

  constructor(lists: () => AddressLists) {
    this.lists = lists;
  }

  check({ peer }: Attempt): Verdict {
    const { allow, deny } = this.lists();
    const address = ipOf(peer.remoteAddress);
    const allowed = allow.length === 0 || (address !== undefined && allow.some((list) => list.has(address)));
    const denied = address !== undefined && deny.some((list) => list.has(address));
    if (!allowed || denied) {
      return refused(`Nobody may log in from ${address ?? peer.remoteAddress} (security.modules, source_address)`);
    }
    const principals: Principal[] = address === undefined ? [] : [{ kind: "address", name: address }];
    return { kind: "passed", principals };
  }
}
