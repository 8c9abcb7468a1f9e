-- Part of the admission: every answer but a fresh grant.

-- What an earlier grant of this attempt, or a later attempt, means for this one.
local function earlier()
  local grant, superseded = job.grant, job.latest > job.attempt
  if not grant or grant.state == 'r' then
    return superseded and verdict('prior', { settled = true }) or nil
  end
  -- A place given back settles nothing: why it was is in the log only later,
  -- and a crash in between must not let the job be dropped.
  local settled = grant.sid or grant.state == 'd' or superseded or job.ended_with >= job.attempt
  if grant.token == token and grant.state == 'g' and not settled and now <= grant.given + LIFE then
    return granted(grant)
  end
  return verdict('prior', { at = grant.given, pool = grant.pool, counted = grant.counted,
    in_window = not grant.counted, sid = grant.sid, settled = settled })
end

-- An attempt whose outcome was unknown may prove to have reached the provider
-- after a later one was decided on. That later one must not be sent.
local function arrived()
  for attempt = job.attempt - 1, 1, -1 do
    local n = us(attempt)
    local f = call('HMGET', job.hash, 'g' .. n, 'i' .. n)
    local before = unpack_grant(f[1], nil, f[2])
    if before and (before.state == 'd' or (before.state == 'g' and before.sid)) then
      return verdict('prior', { at = before.given, sid = before.sid, settled = true, reason = 'arrived' })
    end
  end
end

-- Ends the job. What is true now: every later copy of it gets the same answer,
-- until the log tells its end; a crash before the event is in the log is made
-- up for by the next delivery.
local function finish(outcome, reason)
  if not reserving then
    drop_reservation(job)
    unmark(job)
    unshelve(job)
    save(job)
    call('HDEL', job.hash, 'c')
    call('HSET', job.hash, 'o', us(job.attempt) .. '|' .. outcome .. '|' .. reason)
    forget(job.hash, RETENTION)
  end
  return verdict(outcome, { reason = reason })
end

-- A job that has ended, or ends here.
local function over()
  if job.ended_with >= job.attempt then
    return verdict('ended', { reason = job.status })
  end
  if job.decided_for >= job.attempt then
    return verdict(job.outcome, { reason = job.reason })
  end
  if job.canceled then
    return finish('canceled', '')
  end
  local expires = tonumber(ARGV[11])
  if expires and expires <= now then
    return finish('expired', '')
  end
end

-- What is known of a job that the gate has seen before, or that may be too late.
local function known_before()
  return earlier() or arrived() or over()
end

-- What the customer has said, to this sender and to all.
local function suppressed(sender, said)
  local out, opted_in = false, false
  for i = 1, 2 do
    local choice = said[i] and string.match(said[i], '^%a+')
    out = out or choice == 'out'
    opted_in = opted_in or choice == 'in'
  end
  if out then
    return finish('suppressed', 'opted_out')
  end
  if sender.require_opt_in and not opted_in then
    return finish('suppressed', 'opt_in')
  end
end

-- What is true now: the job is known to wait and holds nothing. A crash before
-- it lies in the waiting room leaves a mark too many, which healing takes away.
local function park(sender, reason, detail, at)
  drop_reservation(job)
  mark(job, sender.pool, priority, needs_place)
  if job.lies and needs_place then
    call('ZREM', READY_KEY .. sender_name, job.lies)
  elseif job.lies then
    make_ready(sender_name, priority, job.lies)
  end
  save(job)
  if ARGV[11] ~= '' then
    call('HSET', job.hash, 'u', ARGV[11]) -- a copy comes then
  end
  return verdict('park', { reason = reason, detail = detail, at = at, pool = sender.pool })
end

-- What is true now: the job holds nothing and stands in nobody's way. It comes
-- back by itself, when its template is looked at again.
local function withheld()
  drop_reservation(job)
  unmark(job)
  unshelve(job)
  save(job)
  return verdict('park', { reason = 'template_paused' })
end

-- What is paused or closed, and why.
local function paused(sender, pool, everything)
  if everything then
    return park(sender, 'paused', call('HGET', GATE_KEY, 'reason'))
  elseif sender.paused then
    return park(sender, 'sender_paused', call('HGET', sender.hash, 'reason'))
  elseif sender.tripped_until > now then
    return park(sender, 'sender_paused', call('HGET', sender.hash, 'fault'), sender.tripped_until)
  elseif pool.paused then
    return park(sender, 'pool_paused', call('HGET', pool.hash, 'reason'))
  elseif pool.closed then
    return park(sender, 'pool_closed')
  end
end

-- How many places of a limit are free; nil without a limit. Old entries take
-- none, but are told apart only where it matters: with no more than enough left.
local function free(window, limit, enough)
  if limit < 0 then
    return nil
  end
  local left = limit - call('ZCARD', window)
  return left > enough and left or limit - used(window)
end

-- When a window that lacks places for a limit has one again; 0 if time alone
-- does not help.
local function back_at(window, limit, left)
  if limit <= 0 then
    return 0
  end
  local place = call('ZRANGEBYSCORE', window, '(' .. us(cutoff), '+inf', 'WITHSCORES', 'LIMIT', 0 - left, 1)
  return tonumber(place[2]) + SPAN
end

-- Who needs a place and waits, at this job's priority or above: jobs of its own
-- sender, whose turn at the rate comes before too, and jobs of the pool.
local function ahead(sender, pool)
  local function waiting(hash)
    local need, sum = call('HMGET', hash, 'need0', 'need1', 'need2'), 0
    for p = 1, tonumber(priority) + 1 do
      sum = sum + tonumber(need[p] or 0)
    end
    return sum
  end
  local same, all = waiting(sender.hash), waiting(pool.hash)
  if job.mark then
    local own, need, own_pool = string.match(job.mark, '^(%d)|%d+|(%d)|(.*)$')
    if need == '1' and own <= priority then
      same = same - 1
      all = own_pool == pool.name and all - 1 or all
    end
  end
  return same, all
end

-- Parks the job unless the customer can take the places that it lacks, and the
-- pool has one for each job that waits before.
local function no_place(sender, pool, lacks_sender, lacks_pool)
  if lacks_pool and pool.moving then
    if move_on(pool.name) then
      return park(sender, 'pool_closed', '', now + HORIZON)
    end
    -- The last step may have brought this customer.
    in_pool = score_of(POOL_WINDOW_KEY .. pool.name, customer)
    lacks_pool = not in_pool or in_pool <= cutoff
    needs_place = lacks_sender or lacks_pool
    if not needs_place then
      return nil
    end
  end
  local reason, at = nil, 0
  local function full(window, limit, left, why)
    if left and left <= 0 then
      local back = back_at(window, limit, left)
      at = (reason and (at == 0 or back == 0)) and 0 or math.max(at, back)
      reason = reason or why
    end
  end
  if lacks_sender then
    local window = SENDER_WINDOW_KEY .. sender_name
    full(window, sender.limit, free(window, sender.limit, 0), 'sender_limit')
  end
  local same, all, left = 0, 0, nil
  if not reserving then
    same, all = ahead(sender, pool)
  end
  if lacks_pool then
    local window, limit = POOL_WINDOW_KEY .. pool.name, pool.limit
    if limit >= 0 and priority ~= '0' then
      limit = math.max(0, limit - pool.reserved)
    end
    left = free(window, limit, all)
    full(window, limit, left, 'pool_limit')
  end
  if reason then
    return park(sender, reason, '', at > 0 and at or nil)
  elseif same > 0 or (left and left <= all) then
    return park(sender, 'waiting')
  end
end

return {
  known_before = known_before, finish = finish, withheld = withheld, suppressed = suppressed, paused = paused, no_place = no_place,
  park = park, give_back = give_back, canonical = canonical, join = join, unmark = unmark, unshelve = unshelve,
  wake = wake,
}
