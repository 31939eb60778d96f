//! How a unit of translation is run: within a scope that records what it looks at.

/// Runs a unit within a scope and hands back its result with what it left behind.
macro_rules! run {
    ($self:ident, $objects:expr, |$scope:ident| $body:expr) => {{
        let world = $crate::scope::World {
            objects: $objects,
            seen: &$self.seen,
            settings: &$self.settings,
            upstream_settings: &$self.upstream_settings,
            fallback_certificate: $self.fallback_certificate.as_ref(),
            claims: &$self.claims,
            assigned: &$self.assigned,
            ledger: &$self.ledger,
        };
        $self.visited += 1;
        let mut scope = $crate::scope::Scope::new(&world, &mut $self.certificates, &mut $self.shared);
        let result = {
            let $scope = &mut scope;
            $body
        };
        (result, scope.finish())
    }};
}
