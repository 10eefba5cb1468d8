// The library: what programs may import from `cdmlab`.
//
//   import { compareDesigns, DEFAULT_DESIGNS, loadScenario } from 'cdmlab';
//   const { scenario, machine } = loadScenario('unaware-app');
//   const { outcomes } = compareDesigns({ scenario, machine, designs: DEFAULT_DESIGNS });
//   for (const o of outcomes) console.log(o.design, o.nrNotAsked, o.refusals.length);
//
// Mistakes in what is given throw UserError; what Linux does and the model does not, NotModelled.

export { NotModelled, type Place, UserError } from './base/assert.ts';
export { Nodemask } from './base/nodemask.ts';
export { formatSizeBytes, parseSizeBytes } from './base/units.ts';
export { type Breach, breaches, CHECKERS, type Checker, checkAll } from './checkers/index.ts';
export { DEFAULT_DESIGNS, DESIGNS, findDesign } from './designs/index.ts';
export type { Device } from './drivers/device.ts';
export type {
  DecisionPoint,
  Design,
  DesignAnswers,
  DesignPromise,
  DesignSource,
  MaskOrigin,
  NodesView,
  PolicyNodeRequest,
  ZoneGate,
} from './hooks/design.ts';
export { MASK_CPUSET, MASK_NONE, MASK_REQUEST } from './hooks/design.ts';
export { Kernel, type KernelOptions } from './kernel/kernel.ts';
export { stateHash } from './kernel/state_hash.ts';
export type { Task } from './kernel/task.ts';
export { type CompareInput, compareDesigns, summarizeMachine } from './lab/compare.ts';
export type * from './lab/comparison.ts';
export { type CaseOutcome, type CaseVerdict, conformCase } from './lab/conform.ts';
export { type ExplainInput, type Explanation, explainPage, type PageEvent } from './lab/explain.ts';
export type { ExplainedRequest } from './lab/explain_request.ts';
export type { PageLink } from './lab/explain_story.ts';
export type { ExplainedAttempt, WalkedZone } from './lab/explain_walk.ts';
export {
  type LoadedScenario,
  type LoadScenarioOptions,
  loadScenario,
  parseWithMachine,
  shippedScenarios,
  type Unjudged,
} from './lab/load_scenario.ts';
export { type OracleCase, readCases } from './lab/oracle_case.ts';
export {
  type FailedExpectation,
  type RegionPlacement,
  Session,
  type SessionInput,
  type Step,
} from './lab/session.ts';
export { fallbackOrderText, zonelistRows, zonelistText } from './lab/zonelist_text.ts';
export {
  addDeviceNode,
  type CaptureOptions,
  captureMachine,
  type DeviceNodeOptions,
} from './machine/capture.ts';
export { type LoadOptions, loadMachine } from './machine/load.ts';
export type {
  Arch,
  DeviceSpec,
  LinkSpec,
  Machine,
  MemoryRange,
  MemoryZone,
  NodeSpec,
} from './machine/machine.ts';
export { type NumactlOptions, parseNumactl } from './machine/numactl.ts';
export { findPreset, presets } from './machine/presets/index.ts';
export { machineToJson, parseMachine } from './machine/schema.ts';
export { DecisionLog } from './mm/decision_log.ts';
export {
  type ExpectArg,
  type PageRange,
  type PolicyArg,
  ScenarioBuilder,
  type ScenarioHeader,
  scenario,
} from './scenario/build.ts';
export {
  type GenerateOptions,
  generateScenario,
  type MachineNodes,
  machineNodes,
} from './scenario/generate.ts';
export { FAMILIES, type Family } from './scenario/generate_weights.ts';
export { lintScenario } from './scenario/lint.ts';
export type { Act, Expectation, Op, OpResult, Scenario, SysAct, TaskAct } from './scenario/ops.ts';
export { type ParseOptions, parseOpLine, parseScenario } from './scenario/parser.ts';
export { printAct, printOp, printScenario } from './scenario/print.ts';
export { Runner } from './scenario/runner.ts';
