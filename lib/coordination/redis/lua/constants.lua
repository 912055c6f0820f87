-- What Lua and TypeScript call by one name, in one place. The build writes each value into the scripts in the place of
-- its name, and all of them, with the comments that stand directly above them, into constants.ts. SECOND, MINUTE, HOUR
-- and DAY are known here as numbers of milliseconds.

-- The version of the layout that a run's word in a record carries, see fields.ts.
local LAYOUT_VERSION = 2

-- What a word's fields begin with, and are separated by.
local FIELD_MARK = ';'

-- Keys, as they follow `rls:{prefix}:`. What each holds is described in keys.ts.

local KEY_FENCE = 'fence'
local KEY_PAUSED = 'paused'
local KEY_PAUSES = 'pauses'
local KEY_STANDING = 'standing'
local KEY_SKIPS = 'skips'
local KEY_OVERRIDES = 'overrides'
local KEY_VERSION = 'version'
local KEY_CHANGES = 'changes'
local KEY_CHANGED = 'changed'
local KEY_CHANGE = 'change:'
local KEY_HANDED = 'handed'
local KEY_OPEN = 'open'
local KEY_CLAIM = 'claim:'
local KEY_LOCK = 'lock:'
local KEY_NAMED_LOCK = 'named:'
local KEY_SLOT = 'slot:'
local KEY_RUNS = 'runs:'
local KEY_QUEUE = 'queue:'
local KEY_REQUESTS = 'requests:'
local KEY_WAITING = 'waiting'
local KEY_WAITS = 'waits'
local KEY_RESULT = 'result:'
local KEY_TAKEN = 'taken:'
local KEY_DATES = 'dates:'
local KEY_SINCE = 'since:'
local KEY_ABANDONED = 'abandoned:'
local KEY_DEFINITION = 'definition:'
local KEY_REPLY = 'reply:'
local KEY_PROBE = 'probe'
local KEY_HISTORY = 'history:'
local KEY_TICKS = 'ticks:'
local KEY_UNLOCKED = 'unlocked'
local KEY_PROGRESS = 'progress'
local KEY_REPLICAS = 'replicas'

-- Words in records.

-- In the place of an id that is not there: of a run, of a request, of a call.
local NOBODY = '-'

-- What a request's id in a record begins with while its claim is not confirmed.
local UNCONFIRMED_MARK = '?'
-- What it begins with once its tick has waited, and has begun or was dropped: the claim can be neither made anew nor handed back.
local SETTLED_MARK = '='

-- The id, in a record, of a run whose takeover was given up before it began: it is unfinished, and nobody's.
local GIVEN_UP = '~'

-- What the trigger's word of a date begins with: as in jobs/fingerprint.ts.
local DATE_MARK = '@'

-- Pauses.

-- A pause by code.
local PAUSED_BY_CODE = '{}'

-- What is noted of a job that is not paused any more begins with it.
local RESUMED_MARK = '-'

-- What is noted of a job whose pause by code has ended ends with it.
local BY_CODE_MARK = '~'

-- Changes.

-- What a scope is that is not one job's begins with, or is.
local JOB_SCOPE = 'job:'
local GROUP_SCOPE = 'group:'
local ALL_SCOPE = 'all'

-- What the scope of a job's override begins with.
local OVERRIDE_SCOPE = 'override:'

-- What claims are to look at: in `standing`.
local STANDING_PAUSES = 'p'
local STANDING_SKIPS = 's'
local STANDING_OVERRIDES = 'o'

-- The version of a pause by code, which is no change.
local VERSION_BY_CODE = 'code'

local CHANGE_MADE = 'm'
local CHANGE_CONFLICT = 'c'
-- No such run is open.
local CHANGE_UNKNOWN = 'u'
-- The tick has passed, or was claimed.
local CHANGE_PASSED = 'p'

-- How many changes a replica that was away can catch up on.
local KEEP_CHANGES = 1000

-- Requests to claim.

local KIND_TICK = 't'
local KIND_MISS = 'm'
local KIND_MANUAL = 'h'
local KIND_RECOVER = 'r'
local KIND_WAITING = 'w'
-- A run at the start of a replica.
local KIND_START = 's'

-- Added up to one number.
local FLAG_PAUSED_INITIALLY = 1
local FLAG_WAITS = 2
local FLAG_RERUN = 4
local FLAG_VOTE = 8
-- A tick that finds no slot free waits in the store, and replaces the oldest run.
local FLAG_QUEUES = 16
local FLAG_REPLACES = 32
-- The job runs as replicas start, so that it is remembered when its last run began.
local FLAG_STARTS_RUNS = 64

-- Answers to claims, each followed by what claim.lua says.

local ANSWER_GRANTED = '0'
local ANSWER_TAKEN_OVER = '6'
local ANSWER_CLAIMED_ELSEWHERE = '1'
-- The same with the last tick, for a request that waits.
local ANSWER_CLAIMED_UP_TO = '7'
-- The same with who has claimed it, for a vote.
local ANSWER_CLAIMED_BY = '9'
local ANSWER_OVERLAP = '2'
-- The same with the run that holds the lock, for a vote.
local ANSWER_OVERLAP_BY = 'o'
local ANSWER_PAUSED = '3'
-- Paused, and the tick is claimed elsewhere.
local ANSWER_PAUSED_ELSEWHERE = '8'
local ANSWER_EARLY = '4'
local ANSWER_RUNNING = '5'
local ANSWER_UNREADABLE = 'u'
-- A tick waits in the store for a slot.
local ANSWER_QUEUED = 'q'
-- Before an answer that grants a run to a request by hand that has waited: the request.
local ANSWER_REQUEST = 'h'
-- A tick that has waited is not run, as the job is paused.
local ANSWER_DROPPED = 'd'
-- Before an answer that gives a run another slot than the first: the slot.
local ANSWER_SLOT = 's'
-- Before an answer that gives a run: it is the last that `maxRuns` admits.
local ANSWER_LAST = 'l'
-- Before an answer that takes a tick: an operator has said that it has no run.
local ANSWER_SKIPPED = 'x'
-- The job was overridden since, or its override was reset: the replica has not heard of it yet.
local ANSWER_STALE = 'v'
-- The job has had all of its runs.
local ANSWER_ENDED = 'e'

-- Of an overlap: added up to one number.
local OVERLAP_TAKEN = 1
local OVERLAP_LEFT = 2

-- How a run ends.

-- It is left for another replica to take over.
local ENDING_LEFT = '0'
local ENDING_FINISHED = '1'
-- A takeover that never began: it stays unfinished, and is no attempt.
local ENDING_UNBEGUN = '2'
-- Its outcome is known, and it keeps its lock.
local ENDING_KEEPS_LOCK = '3'
-- It is over, and another run was to replace it.
local ENDING_REPLACED = '4'
-- It has not begun after all, and nobody asks for it again.
local ENDING_UNUSED = '5'

-- What became of its lock.

local RELEASE_LOST = 0
local RELEASE_RELEASED = 1
local RELEASE_ABANDONED = 2

-- What became of a claim that was handed back.

local HAND_BACK_NOT_OURS = 0
local HAND_BACK_FREE = 1
local HAND_BACK_WASTED = 2

-- What became of a run that was to be recorded as abandoned.

local ABANDON_CLOSED = 0
local ABANDON_RECORDED = 1
local ABANDON_ELSEWHERE = 2
local ABANDON_HELD = 3

-- Numbers.

-- How many attempts a run has, the first included: a handler that takes every process down with it must not go round
-- the fleet for ever.
local MAX_ATTEMPTS = 10

-- How long it is remembered at most since when the fleet has had a job, from the job's first claim on: no longer than
-- any claim, as ticks whose claims are forgotten would count as nobody's.
local KEEP_SINCE = 7 * DAY

-- How long it is remembered that a date was claimed beside ticks of other triggers.
local KEEP_DATES = 35 * DAY

-- How long a tick that was handed back is told to others.
local KEEP_HANDED = DAY

-- How long it is remembered what waits for a slot.
local KEEP_WAITING = 7 * DAY

-- How many requests by hand wait for a job at most.
local MAX_WAITING = 1000

-- How long the result of a run is kept for who waits for it.
local KEEP_RESULT = 10 * MINUTE

-- How long a block is known to be taken.
local KEEP_TAKEN = MINUTE

-- How long a call's reply is kept, should it be repeated.
local KEEP_REPLY = HOUR

-- How long it is remembered that a tick was to be skipped, from the tick on.
local KEEP_SKIP = 7 * DAY

-- How long a change is remembered by its id, should it be asked for again.
local KEEP_CHANGE = DAY

-- How long it is remembered that a run was recorded as abandoned, should its replica come back.
local KEEP_ABANDONED = 7 * DAY

-- How long runs are remembered as open when nobody looks for them any more: an app that is gone for ever leaves nothing
-- behind.
local KEEP_OPEN = 7 * DAY

-- How long after its lock has ended a run is held to be abandoned: its holder may be about to say that it has ended, as
-- Redis did not answer it before.
local ABANDONED_AFTER = 3 * SECOND

-- After what time a run that a master adopted is looked at: when its lock ends is known to those who have given it.
local LOOK_AT_ADOPTED_AFTER = MINUTE / 2

-- How long ago the lock of a run that is open again has ended, as far as is known.
local REOPENED_SINCE = MINUTE

-- How many open runs one look takes up.
local MAX_LOOKED_AT = 256

-- How many runs that the caller has not named are ended in one call.
local MAX_SWEPT = 2000

-- How many slots of a job are looked at first for a free one: most often there is one.
local FIRST_SLOTS = 8

-- How many ranges of ticks without a run are kept of a job.
local MAX_RANGES = 1000

-- How many characters of what is written of an error are read of many jobs at once.
local TAIL_ERROR = 300

-- How long what is kept for a time outlasts it, so that it need not be told anew each time.
local KEEP_LONGER = HOUR

-- How many run ids have all but their last part in common: as in base/run-ids.ts.
local SERIES = 64
