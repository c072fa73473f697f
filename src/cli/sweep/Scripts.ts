/** A sweep as a job array of a cluster's own scheduler: text to look at and to hand in. */
import * as Shell from "../../runs/view/Shell.ts"

/** What the jobs need to know. */
export interface Job {
  readonly name: string
  readonly file: string
  readonly runs: string
  /** What the runs compute with, as `sweep exec` takes it. */
  readonly args: ReadonlyArray<string>
  readonly count: number
  readonly cwd: string
}

const command = ({ args, file, runs }: Job, index: string): string =>
  `npx tapweight sweep exec ${Shell.word(file)} --runs ${Shell.word(runs)} ${args.map(Shell.word).join(" ")} --index ${index}`

/** SLURM's array job. One that is stopped before its time is up saves a checkpoint, and is queued again. */
export const slurm = (job: Job): string =>
  [
    "#!/bin/bash",
    `#SBATCH --job-name=${job.name}`,
    `#SBATCH --array=0-${job.count - 1}`,
    "#SBATCH --requeue",
    "#SBATCH --open-mode=append",
    "#SBATCH --time=4:00:00",
    "#SBATCH --signal=B:TERM@180",
    `#SBATCH --chdir=${Shell.word(job.cwd)}`,
    `${command(job, "$SLURM_ARRAY_TASK_ID")} &`,
    "child=$!",
    "trap 'kill -TERM $child' TERM",
    "wait $child; code=$?",
    "# Once more where a signal ended the wait, and not the run.",
    "if kill -0 $child 2>/dev/null; then wait $child; code=$?; fi",
    "# The array's own number alone would name all of its jobs.",
    'if [ $code = 75 ]; then scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"; fi',
    "exit $code"
  ].join("\n")

/** Kubernetes' indexed job; the folder of runs lies on a volume that all its pods share. */
export const kubernetes = (job: Job, image: string): string =>
  [
    "apiVersion: batch/v1",
    "kind: Job",
    `metadata: { name: ${JSON.stringify(job.name)} }`,
    "spec:",
    `  completions: ${job.count}`,
    "  parallelism: 8",
    "  completionMode: Indexed",
    "  backoffLimitPerIndex: 3",
    "  podReplacementPolicy: Failed",
    "  podFailurePolicy:",
    "    rules:",
    "      - { action: FailIndex, onExitCodes: { operator: In, values: [2, 3, 4, 72] } }",
    "      - { action: Ignore, onPodConditions: [{ type: DisruptionTarget }] }",
    "  template:",
    "    spec:",
    "      restartPolicy: Never",
    "      terminationGracePeriodSeconds: 180",
    "      containers:",
    "        - name: run",
    `          image: ${JSON.stringify(image)}`,
    `          workingDir: ${JSON.stringify(job.cwd)}`,
    `          command: ["sh", "-c", ${JSON.stringify(`exec ${command(job, "$JOB_COMPLETION_INDEX")}`)}]`
  ].join("\n")
