/** Whether offset `a` lies before `b`; both as in headers: `-1`, `<lsn>_<op>` or `<lsn>_inf`. */
export function isBefore(a: string, b: string): boolean {
  const [lsnA, opA] = partsOf(a);
  const [lsnB, opB] = partsOf(b);
  return lsnA < lsnB || (lsnA === lsnB && opA < opB);
}

/** 64 bits: a number would lose the low ones. */
function partsOf(offset: string): [lsn: bigint, op: number] {
  if (offset === '-1') return [-1n, 0];
  const [lsn = '0', op = '0'] = offset.split('_');
  return [BigInt(lsn), op === 'inf' ? Infinity : Number(op)];
}
