import type { Address } from "../addresses/address.ts";
import type { Client } from "../client.ts";
import { BrokerError } from "../errors.ts";
import type { BindingDeclaration, ExchangeDeclaration } from "./exchange.ts";
import type { Route } from "../routing/route.ts";

/** The exchanges of one virtual host. */
export class Exchanges {
  declare(_client: Client, declaration: ExchangeDeclaration): void {
    throw notFound(declaration.name);
  }

  check(name: string): ExchangeDeclaration {
    throw notFound(name);
  }

  delete(_client: Client, name: string, _only: { readonly ifUnused: boolean }): void {
    throw notFound(name);
  }

  bindQueue(_client: Client, _queue: Address, binding: BindingDeclaration): void {
    throw notFound(binding.source);
  }

  unbindQueue(_client: Client, _queue: Address, binding: BindingDeclaration): void {
    throw notFound(binding.source);
  }

  bindExchange(_client: Client, _destination: string, binding: BindingDeclaration): void {
    throw notFound(binding.source);
  }

  unbindExchange(_client: Client, _destination: string, binding: BindingDeclaration): void {
    throw notFound(binding.source);
  }

  route(_client: Client, exchange: string, _key: string): Route {
    throw notFound(exchange);
  }
}

function notFound(name: string): BrokerError {
  return new BrokerError("not-found", `no exchange '${name}'`);
}
