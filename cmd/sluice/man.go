package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan is for those who package releases; others have --help.
func newMan(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Writes the manual pages into a folder", Args: cobra.ExactArgs(1), Hidden: true,
		Example: "  sluice man /usr/local/share/man/man1",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // the same sources give the same pages
			date := time.Unix(0, 0).UTC()
			header := &doc.GenManHeader{Title: "SLUICE", Section: "1", Source: "sluice " + currentVersion(), Manual: "Sluice", Date: &date}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			return nil
		},
	}
}
