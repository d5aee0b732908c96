export { AccessPolicy, type AccessDecision, type AccessPolicyDeps, type Authenticated } from './access-policy.ts';
export { parsePolicy, type ParsedPolicy } from './policy.ts';
