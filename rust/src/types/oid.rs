//! Type OIDs as `pg_type.dat` fixes them, of the types that are decoded from binary.

macro_rules! oids {
    ($($name:ident = $oid:literal;)+) => {
        $(pub const $name: u32 = $oid;)+

        /// All of them.
        pub const ALL: &[u32] = &[$($name),+];
    };
}

oids! {
    BOOL = 16;
    BYTEA = 17;
    CHAR = 18;
    NAME = 19;
    INT8 = 20;
    INT2 = 21;
    INT4 = 23;
    TEXT = 25;
    OID = 26;
    JSON = 114;
    CIDR = 650;
    FLOAT4 = 700;
    FLOAT8 = 701;
    UNKNOWN = 705;
    INET = 869;
    BPCHAR = 1042;
    VARCHAR = 1043;
    DATE = 1082;
    TIME = 1083;
    TIMESTAMP = 1114;
    TIMESTAMPTZ = 1184;
    INTERVAL = 1186;
    TIMETZ = 1266;
    NUMERIC = 1700;
    UUID = 2950;
    JSONB = 3802;
    INT2VECTOR = 22;
    TID = 27;
    XID = 28;
    CID = 29;
    OIDVECTOR = 30;
    XML = 142;
    POINT = 600;
    LSEG = 601;
    PATH = 602;
    BOX = 603;
    POLYGON = 604;
    LINE = 628;
    CIRCLE = 718;
    MACADDR8 = 774;
    MACADDR = 829;
    BIT = 1560;
    VARBIT = 1562;
    REFCURSOR = 1790;
    PG_LSN = 3220;
    TSVECTOR = 3614;
    TSQUERY = 3615;
    JSONPATH = 4072;
    XID8 = 5069;
}
