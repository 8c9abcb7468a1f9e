package dashboard_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheDescriptionHasEveryFilterAndNoOther: a filter that is not known is
// answered with those that are.
func TestTheDescriptionHasEveryFilterAndNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := describe(t, w)
	for _, route := range [][2]string{
		{http.MethodGet, "/v1/jobs"}, {http.MethodGet, "/v1/stats"}, {http.MethodGet, "/v1/events"}, {http.MethodPost, "/v1/jobs/redrive"},
	} {
		r := w.do(route[0], route[1]+"?misspelt=1", "")
		require.Equal(t, http.StatusBadRequest, r.status, "%v: %s", route, r.text)
		var answer struct{ Error struct{ Message string } }
		require.NoError(t, json.Unmarshal([]byte(r.text), &answer))
		_, names, found := strings.Cut(answer.Error.Message, "known are ")
		require.True(t, found, r.text)
		known := strings.Split(names, ", ")

		var described []string
		parameters, _ := at(d, "paths", route[1], strings.ToLower(route[0]), "parameters").([]any)
		for _, p := range parameters {
			if p := d.resolve(p); at(p, "in") == "query" {
				described = append(described, at(p, "name").(string))
			}
		}
		slices.Sort(known)
		slices.Sort(described)
		require.Equal(t, known, described, "%v", route)
	}
}

var problemCode = regexp.MustCompile(`problem\{[^,"]+,\s*"([a-z_]+)"`)

// TestTheDescriptionListsEveryCodeOfAnError, those of answers that only a fault
// of the engines brings about included.
func TestTheDescriptionListsEveryCodeOfAnError(t *testing.T) {
	t.Parallel()
	d := describe(t, newWorld(t, ""))
	known := at(d, "components", "schemas", "Problem", "properties", "code", "enum").([]any)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range problemCode.FindAllStringSubmatch(string(text), -1) {
			if m[1] == "form_too_old" { // shown by a page alone
				continue
			}
			require.Contains(t, known, m[1], file)
			found++
		}
	}
	require.Greater(t, found, 15)
}
