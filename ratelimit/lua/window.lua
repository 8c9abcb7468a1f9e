-- Part: the windows. A window is a sorted set, customer → µs of the last counted
-- send, one for each sender and one for each pool. A grant's place is its
-- customer's entry in both, with one score.
--
-- Every score written is strictly above what both sets hold for the customer.
-- So a score names the attempt that wrote it, and an attempt gives back only
-- what still bears its own.

-- A place counts while its score is above this.
local cutoff = now - span
local cutoff_text = us(cutoff)

-- At most this many old entries go in one step: a window that was idle for days
-- must not stall an admission.
local TRIM = 256

local function score_of(window, customer)
  local score = call('ZSCORE', window, customer)
  return score and tonumber(score) or nil
end

local function counts(window, customer)
  local score = score_of(window, customer)
  return score ~= nil and score > cutoff
end

local function used(window)
  return call('ZCOUNT', window, '(' .. cutoff_text, '+inf')
end

-- When the n-th oldest counted place comes back, n from 0; nil if there is none.
local function returns_at(window, n)
  local place = call('ZRANGEBYSCORE', window, '(' .. cutoff_text, '+inf', 'WITHSCORES', 'LIMIT', n, 1)
  return place[2] and tonumber(place[2]) + span
end

-- Writes a score. A window that grows drops some of its old entries.
local function put(window, score, customer)
  if call('ZADD', window, score, customer) == 0 then
    return
  end
  local old = call('ZCOUNT', window, '-inf', cutoff_text)
  if old > 0 then
    call('ZREMRANGEBYRANK', window, 0, math.min(old, TRIM) - 1)
  end
end

-- Takes or refreshes the place of a grant at a time. What stood there before is
-- kept in the grant for give_back, unless it is the grant's own. present is the
-- pool that the sender counts in now, if that may be another than the grant's.
local function count(job, grant, at, present)
  local by_sender, by_pool = key.sender_window .. job.sender, key.pool_window .. grant.pool
  local in_sender, in_pool = score_of(by_sender, job.customer), score_of(by_pool, job.customer)
  local score = math.max(at, (in_sender or 0) + 1, (in_pool or 0) + 1)
  if present and present ~= grant.pool then
    local moved_to = key.pool_window .. present
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
  put(by_sender, text, job.customer)
  put(by_pool, text, job.customer)
end

-- Moves a grant's place forward to a later proof of the send. Older proof still
-- makes the place its own where another attempt has written since: should that
-- attempt fail, it must not take this one's place along.
local function refresh(job, grant, at, present)
  if at <= cutoff then
    return
  end
  local own = grant.score and score_of(key.sender_window .. job.sender, job.customer) == grant.score
    and score_of(key.pool_window .. grant.pool, job.customer) == grant.score
  if own and at <= grant.score then
    return
  end
  count(job, grant, at, present)
end

local function restore(window, customer, score, back)
  if score_of(window, customer) ~= score then
    return
  end
  if back and back > cutoff then
    call('ZADD', window, us(back), customer)
  else
    call('ZREM', window, customer)
  end
end

-- Frees a grant's place where no other attempt has written since. The grant has
-- none any more, so that doing it again does nothing.
local function give_back(job, grant)
  if not grant.score then
    return
  end
  restore(key.sender_window .. job.sender, job.customer, grant.score, grant.sender_back)
  restore(key.pool_window .. grant.pool, job.customer, grant.score, grant.pool_back)
  grant.score, grant.sender_back, grant.pool_back = nil, nil, nil
end
