package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ergane-dev/ergane/internal/sandbox"
)

// groupFile names the kernel's control group. The shim writes it before it makes
// the group, so that no group is forgotten. It is not durable: control groups do
// not survive a crash of the machine either.
const groupFile = "group.json"

type groupDocument struct {
	V int `json:"v"`
	sandbox.Group
}

func makeGroup(root *os.Root, g *sandbox.Group) error {
	b, err := json.Marshal(groupDocument{protocolVersion, *g})
	if err == nil {
		err = root.WriteFile(groupFile, b, 0o600)
	}
	if err == nil {
		err = g.Make()
	}
	if err != nil {
		return fmt.Errorf("make the control group: %w", err)
	}
	return nil
}

// openGroup opens the group of the kernel in a session folder; nil if it has none.
func openGroup(root *os.Root) (*sandbox.Group, error) {
	g, err := readDocument(root, groupFile, func(b []byte) (*sandbox.Group, error) {
		var d groupDocument
		if err := json.Unmarshal(b, &d); err != nil {
			return nil, err
		}
		if d.V != protocolVersion {
			return nil, errVersion
		}
		return &d.Group, d.Group.Check()
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return g, err
}

// killGroup ends all processes that are left in the group of a kernel that is
// gone, and removes the group. The shim has done that, unless it was killed.
func killGroup(ctx context.Context, root *os.Root) error {
	var g *sandbox.Group
	err := insist(ctx, func() (err error) {
		g, err = openGroup(root)
		return err
	})
	if err != nil || g == nil { // an incomplete file: the group was never made
		return nil
	}
	if err := g.Remove(); err != nil {
		return fmt.Errorf("remove the control group: %w", err)
	}
	return nil
}
