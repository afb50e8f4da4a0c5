package main

import (
	"github.com/spf13/cobra"
)

func newDrill(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Exercises: of the verifier, and of the continuity plan",
		Long: `A backup that was never restored is a hope, and so is a verifier that was never
seen to fail and a plan that nobody ever carried out. Drills try them.`,
		Example: `  backupd drill list
  backupd drill run full-scale --from cloud`,
		GroupID: groupDaily,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(drillCommands(a)...)
	return cmd
}

// drillCommands are the exercises.
func drillCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newDrillList(a), newDrillRun(a), newDrillTemplate(a), newDrillRecord(a), newDrillClose(a), newDrillReport(a), newDrillControls(a),
	}
}
