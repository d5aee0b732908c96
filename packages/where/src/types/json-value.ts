/** Placeholder replaced by the JSON module. */
export class Json {
  readonly json = true;
}
