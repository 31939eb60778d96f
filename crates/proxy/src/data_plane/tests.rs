use super::default_connections;

#[test]
fn connections_follow_the_file_limit() {
    assert_eq!(default_connections(20_256, 2), 5_000);
    assert_eq!(default_connections(1_024, 4), 96);
    assert_eq!(default_connections(10, 4), 16);
}
