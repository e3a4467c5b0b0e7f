package ergane

import (
	"encoding/json"
	"time"
)

// WorkGroupState is the wire enum WorkGroupState.
type WorkGroupState string

const (
	WorkGroupEnabled  WorkGroupState = "ENABLED"
	WorkGroupDisabled WorkGroupState = "DISABLED"
	// WorkGroupDeleting is not in the wire enum and never shown: to clients the
	// workgroup does not exist, but what belonged to it is still being removed.
	WorkGroupDeleting WorkGroupState = "DELETING"
)

// Account is the AWS account that everything of a server belongs to.
const Account = "000000000000"

// PrimaryWorkGroup is the workgroup that the first start creates.
const PrimaryWorkGroup = "primary"

// A WorkGroup holds the settings that its sessions share. Its name is unique.
type WorkGroup struct {
	Name          string
	Description   string
	State         WorkGroupState
	CreatedAt     time.Time
	Configuration WorkGroupConfiguration
	Tags          []Tag
}

// WorkGroupConfiguration is what a workgroup gives to its sessions.
type WorkGroupConfiguration struct {
	EngineVersion EngineVersion
	// OutputLocation is an s3:// address without a trailing slash;
	// empty means s3://ergane-results/<workgroup>.
	OutputLocation string `json:",omitzero"`
	// BucketOwner is the account that must own the output location's bucket; empty means any.
	BucketOwner string `json:",omitzero"`
	// ExecutionRole is the role ARN that sessions get unless they name one.
	ExecutionRole string `json:",omitzero"`
	// Engine is the default of StartSession's EngineConfiguration.
	Engine *EngineConfiguration `json:",omitzero"`
	// Monitoring is the default of StartSession's MonitoringConfiguration, as JSON.
	Monitoring json.RawMessage `json:",omitzero"`
	// Enforce makes the settings above win over those of StartSession.
	Enforce bool `json:",omitzero"`
	// Encryption of the result objects, as asked for.
	Encryption *Encryption `json:",omitzero"`
	// Echo has the members of the wire shape that Ergane does not use, as JSON, so
	// that they are returned as they were given.
	Echo json.RawMessage `json:",omitzero"`
}

// EngineVersion names a version as it was selected, which may be AUTO, and the one in effect.
type EngineVersion struct {
	Selected  string
	Effective string
}

// Delivery says how result objects are stored.
type Delivery struct {
	BucketOwner string // the account that must own the bucket; empty means any
	Encryption  *Encryption
}

// Values of Encryption.Option. CSE_KMS, of the enum too, is refused: nothing
// here could read its objects.
const (
	EncryptS3  = "SSE_S3"
	EncryptKMS = "SSE_KMS"
)

// Encryption is the wire shape EncryptionConfiguration.
type Encryption struct {
	Option string
	KmsKey string `json:",omitzero"`
}
