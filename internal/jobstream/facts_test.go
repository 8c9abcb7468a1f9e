package jobstream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/jobstream"
)

func TestFactsAreComparedAndSwapped(t *testing.T) {
	t.Parallel()
	facts := jobstream.NewFacts(ready(t, jobstream.Config{}))
	ctx := t.Context()
	data, rev, err := facts.Get(ctx, "policy.pool.a")
	require.NoError(t, err)
	require.Zero(t, rev)
	require.Empty(t, data)

	first, err := facts.Put(ctx, "policy.pool.a", []byte("1"), 0)
	require.NoError(t, err)
	_, err = facts.Put(ctx, "policy.pool.a", []byte("2"), 0)
	require.ErrorIs(t, err, jobstream.ErrStale)
	second, err := facts.Put(ctx, "policy.pool.a", []byte("2"), first)
	require.NoError(t, err)
	require.Greater(t, second, first)
	_, err = facts.Put(ctx, "policy.pool.a", []byte("3"), first)
	require.ErrorIs(t, err, jobstream.ErrStale)

	data, rev, err = facts.Get(ctx, "policy.pool.a")
	require.NoError(t, err)
	require.Equal(t, second, rev)
	require.Equal(t, "2", string(data))
}

func TestFactsKnowTheirOwnWriteWhenTheAnswerWasLost(t *testing.T) {
	t.Parallel()
	js := &faulty{JetStream: ready(t, jobstream.Config{}), loseAnswer: true}
	facts := jobstream.NewFacts(js)
	rev, err := facts.Put(t.Context(), "k", []byte("1"), 0)
	require.NoError(t, err)
	_, got, err := facts.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, got, rev)
	_, err = facts.Put(t.Context(), "k", []byte("2"), rev+1)
	require.ErrorIs(t, err, jobstream.ErrStale)
}

func TestFactsRefuseKeysThatAreNone(t *testing.T) {
	t.Parallel()
	facts := jobstream.NewFacts(bare(t))
	for _, key := range []string{"", ".", "a.", ".a", "a..b", "a.*", ">", "a b", "a\n"} {
		_, err := facts.Put(t.Context(), key, nil, 0)
		require.ErrorContains(t, err, "no key", "%q", key)
	}
}

func TestFactsAreListedByPrefix(t *testing.T) {
	t.Parallel()
	facts := jobstream.NewFacts(ready(t, jobstream.Config{}))
	none, err := facts.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, none)

	for _, key := range []string{"policy", "policy.a", "policy.b.c", "policyx", "consent.a"} {
		_, err := facts.Put(t.Context(), key, []byte(key), 0)
		require.NoError(t, err)
	}
	keys := func(prefix string) (found []string) {
		list, err := facts.List(t.Context(), prefix)
		require.NoError(t, err)
		for i, f := range list {
			require.Equal(t, f.Key, string(f.Data))
			require.True(t, i == 0 || f.Rev > list[i-1].Rev)
			found = append(found, f.Key)
		}
		return found
	}
	require.Equal(t, []string{"policy", "policy.a", "policy.b.c"}, keys("policy"))
	require.Equal(t, []string{"consent.a"}, keys("consent"))
	require.Len(t, keys(""), 5)
	require.Empty(t, keys("other"))
}

func TestFactsFollowThePresentAndThenChanges(t *testing.T) {
	t.Parallel()
	facts := jobstream.NewFacts(ready(t, jobstream.Config{}))
	put := func(key, value string, expected uint64) uint64 {
		rev, err := facts.Put(t.Context(), key, []byte(value), expected)
		require.NoError(t, err)
		return rev
	}
	rev := put("a", "1", 0)
	put("b", "1", 0)
	put("a", "2", rev)

	ctx, cancel := context.WithCancel(t.Context())
	told, done := make(chan string, 16), make(chan error, 1)
	go func() {
		done <- facts.Follow(ctx, func(_ context.Context, key string, data []byte, rev uint64) error {
			told <- fmt.Sprintf("%s=%s@%d", key, data, rev)
			return nil
		}, func() { told <- "caught up" })
	}()
	for _, want := range []string{"b=1@2", "a=2@3", "caught up"} {
		require.Equal(t, want, receive(t, told))
	}
	put("c", "1", 0)
	require.Equal(t, "c=1@4", receive(t, told))
	cancel()
	require.ErrorIs(t, receive(t, done), context.Canceled)
}

func TestFactsFollowCatchesUpWithNothing(t *testing.T) {
	t.Parallel()
	facts := jobstream.NewFacts(ready(t, jobstream.Config{}))
	caughtUp, done := make(chan struct{}), make(chan error, 1)
	enough := errors.New("enough")
	go func() {
		done <- facts.Follow(t.Context(), func(context.Context, string, []byte, uint64) error { return enough },
			func() { close(caughtUp) })
	}()
	receive(t, caughtUp)
	_, err := facts.Put(t.Context(), "a", nil, 0)
	require.NoError(t, err)
	require.Equal(t, enough, receive(t, done))
}
