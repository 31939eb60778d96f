//! What a list keeps, shares and finds to be different.

use super::List;
use std::collections::BTreeMap;
use std::sync::Arc;

fn numbers(list: &List<u32>) -> Vec<u32> {
    list.iter().map(|node| **node).collect()
}

fn put(list: &mut List<u32>, number: u32) {
    list.insert(|node| node.cmp(&number), Arc::new(number));
}

#[test]
fn a_list_says_the_same_as_a_map_whatever_comes_and_goes() {
    let (mut list, mut map) = (List::default(), BTreeMap::new());
    let mut dice = 88_172_645_463_325_252_u64;
    for step in 0..20_000 {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let number = (dice % 3000) as u32;
        // Grows, then shrinks to nothing.
        if (dice >> 32) % 20 < if step < 12_000 { 14 } else { 2 } {
            let node = Arc::new(number);
            list.insert(|node| node.cmp(&number), Arc::clone(&node));
            map.insert(number, node);
        } else {
            assert_eq!(
                list.remove(|node| node.cmp(&number)),
                map.remove(&number).is_some()
            );
        }
        let found = list.find(|node| node.cmp(&number));
        assert_eq!(found.map(Arc::as_ptr), map.get(&number).map(Arc::as_ptr));
        if step % 500 == 0 {
            assert!(list.iter().eq(map.values()));
            assert_eq!(list.len(), map.len());
        }
    }
    for number in 0..3000 {
        list.remove(|node| node.cmp(&number));
    }
    assert!(list.is_empty() && list.iter().next().is_none());
    put(&mut list, 7);
    assert_eq!(numbers(&list), [7]);
}

#[test]
fn what_is_collected_keeps_its_order() {
    let list: List<u32> = (0..5000).rev().map(Arc::new).collect();
    assert!(numbers(&list).into_iter().eq((0..5000).rev()));
}

#[test]
fn a_difference_names_what_came_and_went_and_nothing_else() {
    let mut list: List<u32> = (0..10_000).map(|number| Arc::new(number * 2)).collect();
    for (gone, new) in [
        (vec![], vec![]),
        (vec![40], vec![]),
        (vec![0, 19_998], vec![41]),
        (vec![], vec![3, 10_001, 20_001]),
        ((1000..3000).step_by(2).collect(), vec![]),
    ] {
        let old = list.clone();
        for number in &gone {
            assert!(list.remove(|node| node.cmp(number)));
        }
        for &number in &new {
            put(&mut list, number);
        }
        let difference = list.since(&old);
        let values = |nodes: &[&Arc<u32>]| nodes.iter().map(|node| ***node).collect::<Vec<u32>>();
        assert_eq!((values(&difference.gone), values(&difference.new)), (gone, new));
    }
    let empty = List::default();
    assert_eq!(list.since(&empty).new.len(), list.len());
    assert_eq!(empty.since(&list).gone.len(), list.len());
}

#[test]
fn a_change_copies_a_few_pages_however_long_the_list_is() {
    for len in [1000, 100_000] {
        let old: List<u32> = (0..len).map(Arc::new).collect();
        let mut list = old.clone();
        put(&mut list, 500);
        let copied = old.iter().filter(|node| Arc::strong_count(node) > 1).count();
        assert!(
            copied <= super::PAGE,
            "{copied} nodes of {len} are held by two pages"
        );
    }
}
