-- Part: the windows. A window is a sorted set, customer → µs of the last counted
-- send, one for each sender and one for each pool. A grant's place is its
-- customer's entry in both, with one score.
--
-- Every score written is strictly above what both sets hold for the customer.
-- So a score names the attempt that wrote it, and an attempt gives back only
-- what still bears its own.

-- A place counts while its score is above this.
local cutoff = now - SPAN

-- At most this many old entries go in one step: a window that was idle for days
-- must not stall an admission.
local TRIM = 256

local function score_of(window, customer)
  return tonumber(call('ZSCORE', window, customer) or nil)
end

local function used(window)
  return call('ZCOUNT', window, '(' .. us(cutoff), '+inf')
end

-- Writes a score. A window that grows drops some of its old entries now and
-- then: one growth in eight does, by the clock, and each drops more than grew.
local function put(window, score, customer)
  if call('ZADD', window, score, customer) == 1 and now % 8 == 0 then
    local old = call('ZCOUNT', window, '-inf', us(cutoff))
    if old > 0 then
      call('ZREMRANGEBYRANK', window, 0, math.min(old, TRIM) - 1)
    end
  end
end

-- Takes or refreshes the place of a grant at a time, given what the two windows
-- hold. What stood there before is kept in the grant for give_back, unless it is
-- the grant's own. present is the pool that the sender counts in now, if that
-- may be another than the grant's.
local function count(job, grant, at, in_sender, in_pool, present)
  local score = math.max(at, (in_sender or 0) + 1, (in_pool or 0) + 1)
  if present and present ~= grant.pool then
    local moved_to = POOL_WINDOW_KEY .. present
    score = math.max(score, (score_of(moved_to, job.customer) or 0) + 1)
    put(moved_to, us(score), job.customer)
  end
  if in_sender ~= grant.score then
    grant.sender_back = in_sender
  end
  if in_pool ~= grant.score then
    grant.pool_back = in_pool
  end
  grant.score = score
  local text = us(score)
  put(SENDER_WINDOW_KEY .. job.sender, text, job.customer)
  put(POOL_WINDOW_KEY .. grant.pool, text, job.customer)
end
