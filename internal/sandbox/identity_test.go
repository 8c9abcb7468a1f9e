package sandbox_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/sandbox"
)

// TestACustomerIsOneWhateverTheAddress: what the customer did under one address
// holds under the other, also after a restart.
func TestACustomerIsOneWhateverTheAddress(t *testing.T) {
	t.Parallel()
	const us, long, short = "whatsapp:+15550001111", "whatsapp:+5491123456789", "whatsapp:+541123456789"
	file := filepath.Join(t.TempDir(), "journal")
	open := func() *sandbox.Sandbox {
		box, err := sandbox.Open(sandbox.Config{File: file})
		require.NoError(t, err)
		return box
	}
	box := open()
	says := func(from, id, body string) {
		_, err := box.Receive(sandbox.Inbound{From: from, To: us, Body: body, ExternalUserID: id})
		require.NoError(t, err)
	}
	says(userID, "", "Hello")
	create(t, box.Handler(), form("From="+us, "To="+number).Encode())
	require.False(t, box.Ledger()[0].InWindow, "nobody knows yet that they are one")
	create(t, box.Handler(), form("From="+us, "To="+userID).Encode())
	require.True(t, box.Ledger()[1].InWindow)

	says(number, userID, "It is me")
	says(long, "", "STOP")
	require.NoError(t, box.Close())
	box = open()
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	for _, to := range []string{userID, number} {
		create(t, box.Handler(), form("From="+us, "To="+to).Encode())
	}
	require.True(t, box.Ledger()[2].InWindow && box.Ledger()[3].InWindow)
	require.Equal(t, 1, box.Limits().Senders[0].Used, "the number's, once")
	refused := post(box.Handler(), form("From="+us, "To="+short).Encode())
	require.Equal(t, http.StatusBadRequest, refused.Code)
	require.Contains(t, refused.Body.String(), "21610")
}

// TestTwoPlacesOfOneCustomerBecomeOne, the sender's and the pool's.
func TestTwoPlacesOfOneCustomerBecomeOne(t *testing.T) {
	t.Parallel()
	const us = "whatsapp:+15550001111"
	box := sandbox.New(sandbox.Config{})
	used := func() [2]int {
		limits := box.Limits()
		return [2]int{limits.Senders[0].Used, limits.Pools[0].Used}
	}
	for _, to := range []string{userID, number} {
		create(t, box.Handler(), form("From="+us, "To="+to).Encode())
	}
	require.Equal(t, [2]int{2, 2}, used(), "nobody knows yet that they are one")
	_, err := box.Receive(sandbox.Inbound{From: number, To: us, Body: "It is me", ExternalUserID: userID})
	require.NoError(t, err)
	require.Equal(t, [2]int{1, 1}, used())
}

func TestAnIdBesideANumberIsChecked(t *testing.T) {
	t.Parallel()
	box := sandbox.New(sandbox.Config{})
	for _, bad := range []sandbox.Inbound{
		{From: userID, To: "whatsapp:+15550001111", Body: "Hello", ExternalUserID: userID},
		{From: number, To: "whatsapp:+15550001111", Body: "Hello", ExternalUserID: number},
		{From: number, To: "whatsapp:+15550001111", Body: "Hello", ExternalUserID: "DE.abc"},
	} {
		_, err := box.Receive(bad)
		require.ErrorContains(t, err, "external_user_id")
	}
}
